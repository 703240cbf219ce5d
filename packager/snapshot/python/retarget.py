"""A lock that was made on Windows or macOS, translated for the Linux of a container; what changes is said by name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from ...capsule import NOBODY, Finding
from .findings import retargeted
from .index import Indexes, Offer, Offers
from .record import SCRIPTS, Layout, record_digest, wheel_lines
from .text import pylock_text
from .wheelzip import Unreachable, Unreadable, peek

#: The targets, as ``platform_machine`` says them; with uv's name of the oldest Linux that wheels are taken for.
TARGETS = {"x86_64": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28"}
_NEWEST = 28  # of glibc 2, as in the names above
_AT_ONCE = 8  # connections


class Retargeted(BaseModel):
    """The text of ``pylock.linux-MACHINE.toml``, and one finding a distribution that is not as in the lock.

    Attributes:
        complete: whether every index that there is could be asked.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    findings: tuple[Finding, ...]
    complete: bool = True


class Target:
    """One Linux that wheels are taken for: `machine` and the full Python version."""

    def __init__(self, machine: str, python: str) -> None:
        self.machine = machine
        self.name = f"linux-{machine}"
        self.platform = TARGETS[machine]
        self.python = python
        short = [int(part) for part in python.split(".")[:2]]
        glibc = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST, 4, -1)]
        platforms = [*glibc, f"manylinux2014_{machine}", f"linux_{machine}"]
        tags = [*cpython_tags(short, platforms=platforms), *compatible_tags(short, platforms=platforms)]
        self._ranks = {tag: rank for rank, tag in enumerate(tags)}

    def best(self, offers: Sequence[Offer]) -> Offer | None:
        """The most specific of `offers` that runs there."""
        ranked = [(rank, offer) for offer in offers if (rank := self._rank(offer.wheel)) is not None]
        return min(ranked, key=lambda pair: pair[0])[1] if ranked else None

    def _rank(self, wheel: PackageWheel) -> int | None:
        try:
            tags = parse_wheel_filename(wheel.filename)[3]
        except InvalidWheelFilename:
            return None
        return min((self._ranks[tag] for tag in tags if tag in self._ranks), default=None)

    def takes(self, package: Package) -> bool:
        """Whether `package` can be installed there as it stands."""
        wheels, archive = package.wheels or (), package.archive
        if archive is not None and str(archive.url).endswith(".whl"):
            wheels = (PackageWheel(url=archive.url, hashes=archive.hashes),)
        if not wheels:
            return bool(package.vcs or archive)
        return any(self._rank(wheel) is not None for wheel in wheels)


def offered_for(
    pins: Sequence[str], system: str, machine: str, python_version: str, python: Path
) -> dict[str, PackageWheel]:
    """The wheel that the user's indexes have for each of `pins` (``name==version``) there, by name.

    Args:
        system, machine: ``linux`` and one of `TARGETS`; for all others only wheels that run everywhere are given.
        python_version: in full. `python`: any interpreter of this machine, for uv.
    """
    known = system == "linux" and machine in TARGETS
    target = Target(machine if known else "x86_64", python_version)
    offers = Indexes(python).ask_for(pins, target.platform, python_version)
    best = {name: target.best(each) for name, each in offers.wheels.items()}
    wheels = {name: offer.wheel for name, offer in best.items() if offer is not None}
    held = {name: wheel for name, wheel in wheels.items() if wheel.hashes.get("sha256")}
    return {name: wheel for name, wheel in held.items() if known or wheel.filename.endswith("-none-any.whl")}


def retarget(pylock: str, machine: str, python_version: str, python: Path) -> Retargeted:
    """Translate the text of a `pylock.toml` for Linux on `machine` (one of `TARGETS`).

    A wheel that runs there too stays; for each other the same version is looked for on the user's indexes, a build of
    torch (``+cu130``) without its tag if need be; what these need there and the lock does not have is added. A pin
    without a file stays one, if there is anything to install there. The RECORD of a new file is looked up where its
    index gives parts of a file, so that what is installed of it can be held to it.

    Args:
        python_version: in full. `python`: any interpreter of this machine, for uv.
    """
    said = tomllib.loads(pylock)
    lock, target = Pylock.from_dict(said), Target(machine, python_version)
    unproved = [str(pin) for pin in said.get("tool", {}).get("comfy-capsule", {}).get("unproved", [])]
    kept = [item for item in lock.packages if target.takes(item)]
    pins = [f"{item.name}=={item.version}" for item in lock.packages if item not in kept]
    indexes = Indexes(python)
    offers = indexes.ask_for([*pins, *unproved], target.platform, python_version)
    plain = [pin.partition("+")[0] for pin in pins if _name(pin) not in offers.wheels and "+" in pin]
    untagged = indexes.ask_for(plain, target.platform, python_version) if plain else Offers()
    packages, findings = list(kept), []
    for pin in pins:
        package, what = _translate(pin, offers, untagged, target)
        packages += [package] if package is not None else []
        findings.append(retargeted(target.name, _name(pin), what))
    for package in _further(packages, unproved, indexes, target):
        packages.append(package)
        findings.append(retargeted(target.name, str(package.name), f"is added, as {package.version}."))
    left = [pin for pin in unproved if _name(pin) in offers.unreachable or target.best(offers.of(_name(pin)))]
    for pin in (pin for pin in unproved if pin not in left):
        what = f"{pin.partition('==')[2]} has no wheel there and is left out."
        findings.append(retargeted(target.name, _name(pin), what))
    gone = offers.unreachable | untagged.unreachable
    records = records_of((item for item in packages if item not in kept), indexes, target)
    where = f"Translated for {target.name}; capsule.toml names what was changed."
    text = lock_text(lock, packages, target, left, records, where)
    return Retargeted(text=text, findings=tuple(findings), complete=not gone)


def _translate(pin: str, offers: Offers, untagged: Offers, target: Target) -> tuple[Package | None, str]:
    name, version = _name(pin), pin.partition("==")[2]
    for found, at in ((offers, version), (untagged, version.partition("+")[0])):
        best = target.best(found.of(name))
        if best is not None:
            package = locked_package(name, at, best)
            other = "another file" if at == version else f"the version {at}, without its build tag,"
            return package, f"{version} comes from {other}: {best.wheel.filename}."
    gone = name in offers.unreachable | untagged.unreachable
    why = "could not be looked for" if gone else "has no wheel there"
    return None, f"{version} {why} and is left out."


def _further(packages: Sequence[Package], unproved: Sequence[str], indexes: Indexes, target: Target) -> list[Package]:
    """What the packages need there, too, and the lock does not have: torch's CUDA libraries, for instance."""
    here = {str(item.name) for item in packages} | {_name(pin) for pin in unproved}
    pins = [f"{item.name}=={item.version}" for item in packages if item.wheels and not item.wheels[0].path]
    if not pins:
        return []
    whole = indexes.ask_for(pins, target.platform, target.python, whole=True)
    found = {name: target.best(offers) for name, offers in whole.wheels.items() if name not in here}
    return [
        locked_package(name, str(offered_version(best)), best)
        for name, best in sorted(found.items())
        if best is not None
    ]


def records_of(packages: Iterable[Package], indexes: Indexes, target: Target) -> dict[str, str]:
    """What will be installed of each of `packages`, by name, as far as its index lets its wheel be looked into."""
    layout = Layout(("lib", f"python{'.'.join(target.python.split('.')[:2])}", "site-packages"))

    def look(package: Package) -> tuple[str, str]:
        try:
            lines = wheel_lines(peek(indexes.with_credentials((package.wheels or ())[0].url or "")).record, layout)
        except (Unreachable, Unreadable):
            return str(package.name), ""
        # An installer rewrites scripts, so the wheel does not say what they will be.
        return str(package.name), "" if any(place.startswith(SCRIPTS) for place in lines) else record_digest(lines)

    with ThreadPoolExecutor(_AT_ONCE) as executor:
        return {name: record for name, record in executor.map(look, packages) if record}


def locked_package(name: str, version: str, offer: Offer) -> Package:
    wheel = PackageWheel(name=offer.wheel.name, url=offer.wheel.url, size=offer.wheel.size, hashes=offer.wheel.hashes)
    return Package(name=canonicalize_name(name), version=Version(version), index=offer.index or None, wheels=[wheel])


def offered_version(offer: Offer) -> Version:
    return parse_wheel_filename(offer.wheel.filename)[1]


def _name(pin: str) -> str:
    return canonicalize_name(pin.partition("==")[0])


def lock_text(
    lock: Pylock,
    packages: Sequence[Package],
    target: Target,
    unproved: Sequence[str],
    records: dict[str, str],
    comment: str,
) -> str:
    """The lock with `packages`; what it said of installed files holds for the unchanged ones alone."""
    unchanged = {str(item.name) for item in packages if item in lock.packages} | set(map(_name, unproved))
    tool = {**(lock.tool or {}).get("comfy-capsule", {}), "unproved": list(unproved)}
    for table in ("records", "changed", "removed"):
        if table in tool:
            tool[table] = {name: value for name, value in tool[table].items() if name in {*unchanged, NOBODY}}
    tool["records"] = dict(sorted({**tool.get("records", {}), **records}.items()))
    if "editables" in tool:
        tool["editables"] = [item for item in tool["editables"] if item["name"] in unchanged]
    where = f"python_full_version == '{target.python}' and sys_platform == 'linux'"
    translated = replace(
        lock,
        environments=[Marker(f"{where} and platform_machine == '{target.machine}'")],
        packages=sorted(packages, key=lambda item: item.name),
        tool={"comfy-capsule": tool},
    )
    translated.validate()
    return pylock_text(translated.to_dict(), comment)
