"""The Python environment as PEP 751 `pylock.toml`: every distribution, with the very wheel that is installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import tomlkit
from packaging.markers import Marker
from packaging.pylock import Package, PackageArchive, PackageVcs, PackageWheel, Pylock
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict

from ..capsule import Finding
from ..comfy import Install
from ..command import without_credentials
from ..progress import Progress, Report
from .index import Offers, ask_index

# What makes a venv rather than what is in it; `uv venv` puts none of them in.
_NOT_RECORDED = frozenset({"pip", "setuptools", "wheel"})


class Distribution(BaseModel):
    """One installed distribution, as its ``.dist-info`` says it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str  # normalized
    version: str
    tags: frozenset[Tag]  # of the wheel it was installed from
    direct_url: dict[str, Any] | None  # PEP 610


class PythonLock(BaseModel):
    """`pylock.toml`, the versions by name, and what stands against reproducing them."""

    model_config = ConfigDict(frozen=True)

    text: str
    versions: dict[str, str]
    findings: tuple[Finding, ...]


def read_distributions(install: Install) -> list[Distribution]:
    """Every distribution in the install's site-packages, sorted by name."""
    found: dict[str, Distribution] = {}
    for item in metadata.distributions(path=[str(folder) for folder in install.site_packages]):
        name = item.metadata["Name"]
        if not name:
            continue  # half-uninstalled: a folder whose METADATA is gone
        direct = item.read_text("direct_url.json")
        distribution = Distribution(
            name=canonicalize_name(name),
            version=item.version,
            tags=_tags(item.read_text("WHEEL") or ""),
            direct_url=json.loads(direct) if direct else None,
        )
        found.setdefault(distribution.name, distribution)  # the first on the path is the one that Python imports
    return [found[name] for name in sorted(found)]


def lock_python(install: Install, report: Report) -> PythonLock:
    """Lock the environment of `install`. Needs the package index for hashes; without it each is a finding."""
    installed = read_distributions(install)
    report(Progress(phase="python", item=f"{len(installed)} distributions", total=len(installed)))
    wanted = [item for item in installed if item.direct_url is None]
    offers = ask_index([f"{item.name}=={item.version}" for item in wanted], install.python)
    packages, unproved, findings = [], [], []
    for item in installed:
        package, finding = _lock_one(item, offers)
        if package is None:
            unproved.append(f"{item.name}=={item.version}")
        else:
            packages.append(package)
        if finding is not None and not (finding.code == "hash-unknown" and item.name in _NOT_RECORDED):
            findings.append(finding)
    report(Progress(phase="python", done=len(installed), total=len(installed)))
    text = _write(install, packages, unproved)
    return PythonLock(text=text, versions={item.name: item.version for item in installed}, findings=tuple(findings))


def _lock_one(item: Distribution, offers: Offers) -> tuple[Package | None, Finding | None]:
    name, version = canonicalize_name(item.name), _version(item.version)
    if item.direct_url is not None:
        return _lock_direct(item)
    for wheel in offers.wheels.get(item.name, ()):
        if parse_wheel_filename(wheel.filename)[3] == item.tags:
            return Package(name=name, version=version, wheels=[_without_time(wheel)]), None
    sdist = offers.sdists.get(item.name)
    if sdist is not None and not offers.wheels.get(item.name):
        finding = _finding("built-from-source", item, "was built from its source archive; a build may differ.")
        return Package(name=name, version=version, sdist=sdist), finding
    if offers.unreachable:
        return None, _finding("hash-unknown", item, "has no known hash: the package index could not be reached.")
    return None, _finding("hash-unknown", item, "is on the index in no file with the installed wheel's tags.")


def _lock_direct(item: Distribution) -> tuple[Package | None, Finding | None]:
    """A distribution installed from a URL: PEP 610 says from where."""
    direct = item.direct_url or {}
    url = without_credentials(str(direct.get("url", "")))
    name, version = canonicalize_name(item.name), _version(item.version)
    if vcs := direct.get("vcs_info"):
        subdirectory = direct.get("subdirectory")
        source = PackageVcs(type=vcs["vcs"], url=url, commit_id=vcs["commit_id"], subdirectory=subdirectory)
        return Package(name=name, version=version, vcs=source), None
    hashes = (direct.get("archive_info") or {}).get("hashes")
    if hashes and not url.startswith("file:"):
        return Package(name=name, version=version, archive=PackageArchive(url=url, hashes=hashes)), None
    kind = "editable" if (direct.get("dir_info") or {}).get("editable") else "local"
    return None, _finding("local-distribution", item, f"was installed from a {kind} path; its bytes are not carried.")


def _finding(code: str, item: Distribution, what: str) -> Finding:
    return Finding(
        code=code,
        subject=item.name,
        message=f"The distribution {item.name} {item.version} {what}",
        cure={
            "hash-unknown": "Take the snapshot again with the package index it came from.",
            "built-from-source": "Install it from a wheel.",
            "local-distribution": "Install it from an index, or from a commit of a git remote.",
        }[code],
        blocks=code == "local-distribution",
    )


def _without_time(wheel: PackageWheel) -> PackageWheel:
    return PackageWheel(name=wheel.name, url=wheel.url, size=wheel.size, hashes=wheel.hashes)


def _tags(wheel: str) -> frozenset[Tag]:
    tags: set[Tag] = set()
    for line in wheel.splitlines():
        if line.startswith("Tag:"):
            tags |= parse_tag(line.partition(":")[2].strip())
    return frozenset(tags)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _write(install: Install, packages: Sequence[Package], unproved: Iterable[str]) -> str:
    """The text of `pylock.toml`; what no file is known of stands under ``[tool.comfy-capsule] unproved``."""
    python = Version(install.python_version)
    lock = Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(f"python_full_version == '{python}'")],
        requires_python=SpecifierSet(f">={python.major}.{python.minor}"),
        created_by="comfy-capsule",
        packages=packages,
        tool={"comfy-capsule": {"unproved": sorted(unproved)}},
    )
    lock.validate()
    document = tomlkit.document()
    document.add(
        tomlkit.comment("The Python environment of this capsule (PEP 751): the very wheels that were installed.")
    )
    for key, value in lock.to_dict().items():
        document.add(key, value)
    return tomlkit.dumps(document)
