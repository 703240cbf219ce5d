"""Where each installed distribution can be had again: an index, a commit, an archive, or the capsule itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.pylock import Package, PackageArchive, PackageVcs, PackageWheel
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name
from packaging.version import Version

from ...cache import Cache
from ...capsule import Editable, Finding, sha256_bytes
from ...comfy import Install
from ...command import without_credentials
from ...progress import Report
from .contents import Distribution
from .editable import CannotCarry, carry_editable
from .findings import distribution_finding, secrets_left_out
from .wheelmake import installed_size, make_wheel, secret_places, wheel_name
from .wheels import Installed, Origins, find_origins

# What makes a venv rather than what is in it; `uv venv` puts none of them in.
_NOT_RECORDED = frozenset({"pip", "setuptools", "wheel"})
_MOST = 512 << 20  # bytes of a distribution that is carried because no other origin is known


@dataclass
class Locked:
    """What the lock says of all distributions, and what is carried of them by entry name."""

    packages: list[Package] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    editables: list[Editable] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def carried(self) -> frozenset[str]:
        """The names of those whose wheel is made of what is there: what is gone is not in it, nor in its RECORD."""
        return frozenset(str(item.name) for item in self.packages if any(wheel.path for wheel in item.wheels or ()))


def lock_distributions(
    installed: Sequence[Installed],
    install: Install,
    cache: Cache,
    report: Report,
    *,
    known: Mapping[tuple[str, str, str], Package],
    ask: bool,
) -> Locked:
    """The origin of each of `installed`.

    Args:
        known: packages that hold, by name, version and record; indexes are asked for the rest only when `ask` says so.
    """
    locked = Locked()
    left = []
    for item in installed:
        package = _as_known(item.distribution, known)
        if package is None or item.distribution.editable:
            left.append(item)
        else:
            locked.packages.append(package)
    wanted = [item for item in left if item.distribution.direct_url is None]
    origins = find_origins(wanted, install, cache, report) if ask else Origins()
    for item in left:
        if ask or item.distribution.editable or _direct(item.distribution) is not None:
            _lock_one(locked, item, origins)
        else:
            locked.unproved.append(_pin(item.distribution))
    return locked


def _as_known(item: Distribution, known: Mapping[tuple[str, str, str], Package]) -> Package | None:
    """What `known` says of `item`, if the same was installed."""
    for record, is_carried in ((item.record, False), (item.present, True)):
        package = known.get((item.name, str(Version(item.version)), record))
        if package is not None and is_carried == any(wheel.path for wheel in package.wheels or ()):
            return package
    return None


def _lock_one(locked: Locked, item: Installed, origins: Origins) -> None:
    one = item.distribution
    offer = origins.proved.get(one.name) or origins.likely.get(one.name)
    direct = _direct(one)
    if one.editable:
        _carry_editable(locked, item)
    elif direct is not None:
        locked.packages.append(direct)
    elif one.direct_url is not None:
        _carry(locked, item, "local-distribution", "was installed from a path or address that only this machine has")
    elif offer is not None and not (offer.wheel.url or "").startswith("file:"):
        index = offer.index or None
        locked.packages.append(
            Package(name=_name(one), version=Version(one.version), index=index, wheels=[offer.wheel])
        )
        if one.name not in origins.proved:
            what = "could not be looked into on its index; the file named there has the same version and tags."
            locked.findings.append(distribution_finding("wheel-not-proved", one, what))
    elif one.name in _NOT_RECORDED:
        locked.unproved.append(_pin(one))
    elif one.name in origins.source:
        _carry(locked, item, "built-from-source", "was built on this machine, for the index has no wheel of it")
    elif one.name in origins.nowhere:
        _carry(locked, item, "wheel-carried", "is on no index of yours with the bytes that are installed")
    else:
        locked.unproved.append(_pin(one))
        what = "has no known hash: the package index could not be reached."
        locked.findings.append(distribution_finding("hash-unknown", one, what))


def _direct(item: Distribution) -> Package | None:
    """A distribution installed from a URL that others have too: PEP 610 says from where."""
    direct = item.direct_url or {}
    url = without_credentials(str(direct.get("url", "")))
    vcs, archive = direct.get("vcs_info"), direct.get("archive_info")
    name, version, subdirectory = _name(item), Version(item.version), direct.get("subdirectory")
    if isinstance(vcs, dict) and vcs.get("commit_id") and not url.startswith("file:"):
        source = PackageVcs(
            type=str(vcs.get("vcs")), url=url, commit_id=str(vcs["commit_id"]), subdirectory=subdirectory
        )
        return Package(name=name, version=version, vcs=source)
    hashes = archive.get("hashes") if isinstance(archive, dict) else None
    if hashes and not url.startswith("file:"):
        return Package(name=name, version=version, archive=PackageArchive(url=url, hashes=hashes))
    return None


def _carry(locked: Locked, item: Installed, code: str, why: str) -> None:
    """Put a wheel made of the installed files into the capsule."""
    one = item.distribution
    try:
        size = installed_size(one, item.places)
        wheel = make_wheel(one, item.places) if size <= _MOST else b""
        name = wheel_name(one)
    except (OSError, InvalidWheelFilename):
        size, wheel, name = 0, b"", ""
    if not wheel:
        locked.unproved.append(_pin(one))
        reason = f"it has {size >> 20} MiB" if size > _MOST else "its files cannot be read"
        locked.findings.append(distribution_finding(code, one, f"{why}; it is not carried: {reason}.", blocks=True))
        return
    locked.packages.append(carried_wheel(one, name, wheel))
    locked.files[f"python/{name}"] = wheel
    locked.findings.append(distribution_finding(code, one, f"{why}; its files are carried."))
    if secret := secret_places(one, item.places):
        locked.findings.append(secrets_left_out(one, secret))


def _carry_editable(locked: Locked, item: Installed) -> None:
    one = item.distribution
    try:
        carried = carry_editable(one, item.places)
    except (CannotCarry, InvalidWheelFilename) as error:
        locked.unproved.append(_pin(one))
        locked.findings.append(distribution_finding("local-distribution", one, str(error), blocks=True))
        return
    locked.packages.append(carried_wheel(one, carried.wheel_name, carried.wheel))
    locked.editables.append(carried.said)
    locked.files[f"python/{carried.wheel_name}"] = carried.wheel
    locked.files[carried.said.tree] = carried.tree
    what = "is editable, from a folder on this machine; that folder is carried."
    locked.findings.append(distribution_finding("local-distribution", one, what))


def carried_wheel(item: Distribution, name: str, wheel: bytes) -> Package:
    """`item` as the lock has it, with `wheel`, of the file name `name`, in the capsule."""
    file = PackageWheel(path=f"python/{name}", size=len(wheel), hashes={"sha256": sha256_bytes(wheel)})
    return Package(name=_name(item), version=Version(item.version), wheels=[file])


def _name(item: Distribution) -> NormalizedName:
    return canonicalize_name(item.name)


def _pin(item: Distribution) -> str:
    return f"{item.name}=={item.version}"
