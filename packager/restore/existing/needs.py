"""What the packs that stay need of Python, held against the versions that the capsule's lock installs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict

from ...capsule import Finding
from ...snapshot import InstalledNeeds

# What packs call without naming it: their installers, and `pkg_resources`.
_TOOLS = ("pip", "setuptools", "wheel")
_THROUGH = " through "
_DEEP = 8  # files that include one another


class PythonNeeds(BaseModel):
    """What of the installed distributions the staying packs need beside the lock, and what cannot be.

    Attributes:
        kept: the names of distributions that the lock does not have; their installed files are taken along.
        dropped: the names of those that the lock does not have and nothing that stays is known to need.
        findings: the needs that are met now and would not be; each blocks.
    """

    model_config = ConfigDict(frozen=True)

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    findings: tuple[Finding, ...]


def python_needs(
    packs: Mapping[str, Path], installed: Mapping[str, InstalledNeeds], locked: Mapping[str, str], python: str
) -> PythonNeeds:
    """Follow the requirements of `packs` through what is installed; nothing is resolved, no index is asked.

    Args:
        packs: the folders of the packs that stay and are loaded, by name.
        installed: what the install has now, by normalized name.
        locked: ``{normalized name: version}`` of the lock; empty where any will do.
        python: the full version of the lock's Python.
    """
    asked = ((name, need) for name, folder in sorted(packs.items()) for need in pack_requirements(folder))
    waiting = [(name, need) for name, need in asked if _applies(need, "", python)]
    waiting += [("", Requirement(tool)) for tool in _TOOLS if tool in installed]
    kept: dict[str, str] = {}
    findings: dict[Finding, None] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        who, need = waiting.pop(0)
        name = str(canonicalize_name(need.name))
        if (who, str(need)) in seen:
            continue
        seen.add((who, str(need)))
        now = installed.get(name)
        if name in locked:
            if now is not None and _allows(need.specifier, now.version) and not _allows(need.specifier, locked[name]):
                findings[_conflict(who, need, f"{now.version} is here", f"the capsule pins {locked[name]}")] = None
        elif now is not None and name not in kept:
            kept[name] = who
            reason = _cannot_come_along(now, python)
            if reason:
                findings[_conflict(who, need, f"{now.version} is here", reason)] = None
            who = f"{who}{_THROUGH}{name}" if who and _THROUGH not in who else who
            waiting += [(who, one) for one in _required(now.requires, need.extras, python)]
    dropped = installed.keys() - locked.keys() - kept.keys()
    return PythonNeeds(kept=tuple(sorted(kept)), dropped=tuple(sorted(dropped)), findings=tuple(findings))


def pack_requirements(folder: Path) -> Iterator[Requirement]:
    """What the pack in `folder` says that it needs: ``requirements.txt``, and ``pyproject.toml``'s dependencies.

    Lines that name a file or address instead of a distribution say no version, and are left out.
    """
    lines = _lines(folder / "requirements.txt", folder.resolve(), _DEEP)
    try:
        said = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        listed = said.get("project", {}).get("dependencies", [])
        lines += [line for line in listed if isinstance(line, str)]
    except (OSError, ValueError, AttributeError):
        pass
    for line in dict.fromkeys(lines):
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue


def _lines(file: Path, inside: Path, depth: int) -> list[str]:
    """The requirements in a file in pip's format, and in those that it includes."""
    try:
        if not depth or not file.resolve().is_relative_to(inside):
            return []
        text = file.read_text(encoding="utf-8-sig", errors="replace").replace("\\\n", " ")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        said = line.split(" #")[0].split("\t#")[0].strip()
        option, _, value = said.replace("=", " ", 1).partition(" ") if said.startswith("-") else ("", "", "")
        if option in ("-r", "--requirement"):
            found += _lines(file.parent / value.strip(), inside, depth - 1)
        elif said and not said.startswith(("#", "-")):
            found.append(said.split(" --")[0].strip())  # hashes and options of one requirement
    return found


def _required(lines: Sequence[str], extras: set[str], python: str) -> Iterator[Requirement]:
    """The ``Requires-Dist`` lines that hold without extras, or for one of `extras`."""
    for line in lines:
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue
        if any(_applies(need, extra, python) for extra in ("", *extras)):
            yield need


def _applies(need: Requirement, extra: str, python: str) -> bool:
    version = Version(python)
    here = {"python_full_version": python, "python_version": f"{version.major}.{version.minor}", "extra": extra}
    return need.marker is None or need.marker.evaluate(here)


def _allows(specifier: SpecifierSet, version: str) -> bool:
    """Whether a version will do; one that cannot be read, or is any, does."""
    try:
        return not version or specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _cannot_come_along(now: InstalledNeeds, python: str) -> str:
    """Why the installed files of a distribution are of no use in the lock's Python; empty if they are."""
    if now.editable:
        return "its installed form is a folder on this machine"
    version = Version(python)
    try:
        if now.requires_python and not SpecifierSet(now.requires_python).contains(version, prereleases=True):
            return f"its files need Python {now.requires_python}, the capsule has {python}"
    except InvalidSpecifier:
        pass
    if now.tags and not any(_fits(tag, version) for tag in now.tags):
        return f"its files are for {now.tags[0]}, the capsule has Python {python}"
    return ""


def _fits(tag: str, version: Version) -> bool:
    """Whether a wheel with `tag` (``cp311-cp311-linux_x86_64``) goes into this Python; the platform is the same."""
    interpreter, _, rest = tag.partition("-")
    abi = rest.partition("-")[0]
    own = f"cp{version.major}{version.minor}"
    return own in interpreter.split(".") or "abi3" in abi or (abi == "none" and f"py{version.major}" in interpreter)


def _conflict(who: str, need: Requirement, now: str, then: str) -> Finding:
    pack, _, through = who.partition(_THROUGH)
    subject, what = pack or need.name, _plain(need) + (f" for its {through}" if through else "")
    return Finding(
        code="python-conflict",
        subject=subject,
        message=f"The pack {pack or 'that stays'} needs {what}: {now}, {then}.",
        cure=f"Disable {subject}, or all others with --existing exact, or restore into a new folder.",
        blocks=True,
    )


def _plain(need: Requirement) -> str:
    """Without its marker."""
    return str(need).partition(";")[0].strip()
