"""The Python environment as PEP 751 `pylock.toml`: every distribution, with the very wheel that is installed."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterable

from packaging.markers import Marker
from packaging.pylock import Package, Pylock
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from ...cache import Cache
from ...capsule import Finding, PythonTool, sha256_bytes
from ...comfy import Install
from ...progress import Progress, Report
from .changes import carry_changes
from .contents import Contents, Places
from .distributions import lock_distributions
from .findings import broken
from .retarget import TARGETS, Retargeted, retarget
from .site import read_contents
from .text import pylock_text
from .wheels import Installed

_TRANSLATED = "pylock-translated-2"


class PythonLock(BaseModel):
    """`pylock.toml`, the versions by name, what stands against reproducing them, and the carried bytes by entry."""

    model_config = ConfigDict(frozen=True)

    text: str
    versions: dict[str, str]
    findings: tuple[Finding, ...]
    files: dict[str, bytes] = Field(default={}, exclude=True)


def read_distributions(install: Install, cache: Cache) -> tuple[list[Installed], list[tuple[Places, Contents]]]:
    """Every distribution in the install's site-packages, sorted by name, and what else lies there."""
    found: dict[str, Installed] = {}
    folders = list(dict.fromkeys(folder.resolve() for folder in install.site_packages))
    read = [(Places(folder), read_contents(folder, cache)) for folder in folders]
    for places, contents in read:
        for item in contents.distributions:  # the first on the path is the one that Python imports
            found.setdefault(item.name, Installed(distribution=item, places=places))
    return [found[name] for name in sorted(found)], read


def lock_python(install: Install, report: Report, *, known: str = "", cache: Cache | None = None) -> PythonLock:
    """Lock the environment of `install`.

    What was proved before is not asked again. The package index is needed for the rest; without it, each is a finding.

    Args:
        known: the text of a `pylock.toml`; distributions of which it says that the same was installed are as it says,
            and no index is asked for the others.
    """
    own = cache is None
    cache = cache or Cache()
    try:
        return _lock(install, report, known, cache)
    finally:
        if own:
            cache.close()


def _lock(install: Install, report: Report, known: str, cache: Cache) -> PythonLock:
    installed, folders = read_distributions(install, cache)
    report(Progress(phase="python", item=f"{len(installed)} distributions", total=len(installed)))
    locked = lock_distributions(installed, install, cache, report, known=_known(known), ask=not known)
    editables = {item.distribution.name for item in installed if item.distribution.editable}
    changes = carry_changes(folders, editables, locked.carried)
    report(Progress(phase="python", done=len(installed), total=len(installed)))
    tool = PythonTool(
        unproved=tuple(sorted(locked.unproved)),
        records={
            one.name: one.present if one.name in locked.carried else one.record
            for one in (item.distribution for item in installed)
        },
        changed=changes.changed,
        removed=changes.removed,
        editables=tuple(sorted(locked.editables, key=lambda item: item.name)),
    )
    whole = [broken(item) for _, contents in folders for item in contents.broken]
    text = _write(install, locked.packages, tool)
    translated = {} if known else _translate(install, text, cache)
    return PythonLock(
        text=text,
        versions={item.distribution.name: item.distribution.version for item in installed},
        findings=(
            *locked.findings,
            *changes.findings,
            *whole,
            *(one for item in translated.values() for one in item.findings),
        ),
        files={**locked.files, **changes.files, **{name: item.text.encode() for name, item in translated.items()}},
    )


def _translate(install: Install, text: str, cache: Cache) -> dict[str, Retargeted]:
    """The lock for the Linux of containers, by entry name, when it was made on another system."""
    if platform.system() == "Linux":
        return {}
    found = {}
    for machine in TARGETS:
        key = sha256_bytes(f"{machine} {install.python_version} {text}".encode())
        known = cache.get(_TRANSLATED, [key])
        if key in known:
            made = Retargeted.model_validate_json(known[key])
        else:
            made = retarget(text, machine, install.python_version, install.python)
            if made.complete:
                cache.put(_TRANSLATED, {key: made.model_dump_json()})
        found[f"pylock.linux-{machine}.toml"] = made
    return found


def _known(text: str) -> dict[tuple[str, str, str], Package]:
    """The packages of a `pylock.toml` by name, version and what was installed of them."""
    if not text:
        return {}
    said = tomllib.loads(text)
    records = (said.get("tool") or {}).get("comfy-capsule", {}).get("records", {})
    packages = Pylock.from_dict(said).packages
    return {(str(item.name), str(item.version), str(records.get(item.name))): item for item in packages}


def _write(install: Install, packages: Iterable[Package], tool: PythonTool) -> str:
    """The text of `pylock.toml`; what PEP 751 has no place for stands under ``[tool.comfy-capsule]``."""
    python = Version(install.python_version)
    lock = Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(f"python_full_version == '{python}'")],
        requires_python=SpecifierSet(f">={python.major}.{python.minor}"),
        created_by="comfy-capsule",
        packages=sorted(packages, key=lambda item: item.name),
        tool={"comfy-capsule": tool.as_toml()},
    )
    lock.validate()
    comment = "The Python environment of this capsule (PEP 751): the very wheels that were installed."
    return pylock_text(lock.to_dict(), comment)
