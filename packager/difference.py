"""What changed between two snapshots, told the way a person would ask: what is not as it was when it worked?"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from .capsule import Finding, Lock, Pack, Platform, Source, read_capsule
from .comfy import find_install, is_comfyui
from .errors import BadInput
from .materialise import read_pylock
from .progress import Report, silent
from .snapshot import snapshot_install

Section = Literal["platform", "comfyui", "pack", "python", "system", "model", "input", "file", "finding"]

_SHORT = 12  # hex digits shown
# What people ask for first when something no longer works.
_FIRST = ("torch", "torchvision", "torchaudio", "numpy", "transformers", "xformers")


class Change(BaseModel):
    """One thing that is not the same; `before` or `after` is empty where it is not there."""

    model_config = ConfigDict(frozen=True)

    section: Section
    subject: str
    before: str
    after: str

    @property
    def line(self) -> tuple[str, str, str]:
        """Section, sign (``+``, ``-``, ``~``) with the subject, and what it was and is."""
        sign = "+" if not self.before else "-" if not self.after else "~"
        told = f"{self.before} → {self.after}" if self.before and self.after else self.before or self.after
        return self.section, f"{sign} {self.subject}", told


class Side(NamedTuple):
    """One of the two: its lock, the text of its `pylock.toml`, and whether a workflow's models and inputs are in it."""

    lock: Lock
    pylock: str
    of_workflow: bool


def read_side(place: Path, report: Report = silent) -> Side:
    """The snapshot that `place` holds: a capsule, the folder of a snapshot, or a ComfyUI, which is read now.

    Raises:
        BadInput: ``no-snapshot``, or what `read_capsule` and `find_install` refuse.
    """
    if place.is_file():
        capsule = read_capsule(place)
        return Side(capsule.lock, capsule.pylock, True)
    if (place / "capsule.toml").is_file():
        lock, pylock = _read_folder(place)
        return Side(lock, pylock, bool(lock.models or lock.inputs))
    if is_comfyui(place):
        taken = snapshot_install(find_install(place), report=report)
        return Side(taken.lock, taken.pylock, False)
    message = f"{place} is no capsule, no snapshot's folder and no ComfyUI."
    raise BadInput("no-snapshot", message, "Give a NAME.capsule.zip, what `snapshot -o` wrote, or a ComfyUI's folder.")


def _read_folder(folder: Path) -> tuple[Lock, str]:
    try:
        lock = Lock.model_validate(tomllib.loads((folder / "capsule.toml").read_text(encoding="utf-8")))
        return lock, (folder / "pylock.toml").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        message = f"The snapshot in {folder} cannot be read: {reason}."
        raise BadInput("snapshot-unreadable", message, "Take it again with `comfy-capsule snapshot -o`.") from error


def differences(before: Side, after: Side) -> tuple[Change, ...]:
    """Every change from `before` to `after`, in the order in which one would look.

    Models, inputs, files and findings are compared only where both are of a workflow: a ComfyUI alone has none.
    """
    one, two = before.lock, after.lock
    found = [
        *_comfyui(one, two),
        *_listed("pack", _packs(one.packs), _packs(two.packs)),
        *_python(before.pylock, after.pylock),
        *_platform(one.platform, two.platform),
        *_listed("system", _system(one), _system(two)),
    ]
    if before.of_workflow and after.of_workflow:
        found += _listed("model", _models(one), _models(two))
        found += _listed("input", _inputs(one), _inputs(two))
        found += _listed("file", _files(one), _files(two))
        found += _listed("finding", _findings(one.findings), _findings(two.findings))
    return tuple(found)


def _listed(section: Section, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for subject in sorted(before.keys() | after.keys()):
        was, now = before.get(subject, ""), after.get(subject, "")
        if was != now:
            yield Change(section=section, subject=subject, before=was, after=now)


def _comfyui(one: Lock, two: Lock) -> Iterator[Change]:
    was, now = (f"{lock.comfyui.version} {_tree(lock.comfyui)}" for lock in (one, two))
    if was != now:
        yield Change(section="comfyui", subject="ComfyUI", before=was, after=now)


def _packs(packs: Sequence[Pack]) -> dict[str, str]:
    names = [pack.name for pack in packs]  # one may lie there twice, enabled and disabled
    return {
        pack.name if names.count(pack.name) == 1 else pack.path: _tree(pack) + ("" if pack.enabled else ", disabled")
        for pack in packs
    }


def _tree(source: Source) -> str:
    """Which files these are, in words: of two that read the same, every byte is the same."""
    words = [getattr(source, "registry", "") or source.commit[:_SHORT] or source.kind]
    if source.patch:
        words.append("with local changes")
    if source.line_ends:
        words.append("with CRLF")
    inside = [f"{item.path} at {item.commit[:_SHORT]}" for item in source.submodules]
    return ", ".join([*words, *inside, f"tree {source.tree[:_SHORT]}"])


def _python(before: str, after: str) -> Iterator[Change]:
    found = list(_listed("python", _distributions(before), _distributions(after)))
    first = [change for name in _FIRST for change in found if change.subject == name]
    yield from [*first, *(change for change in found if change not in first)]


def _distributions(text: str) -> dict[str, str]:
    """``{name: version and what holds it to its bytes}``."""
    locked = read_pylock(text)
    said = {}
    for name, version in locked.versions().items():
        record = locked.tool.records.get(name, "")[:_SHORT]
        changed = ", with changed files" if locked.tool.changed.get(name) or locked.tool.removed.get(name) else ""
        said[str(canonicalize_name(name))] = f"{version}{f' ({record})' if record else ''}{changed}"
    return said


def _platform(one: Platform, two: Platform) -> Iterator[Change]:
    was, now = ({name: str(value) for name, value in side.model_dump().items()} for side in (one, two))
    yield from _listed("platform", was, now)


def _system(lock: Lock) -> dict[str, str]:
    libraries = {item.soname: item.package or "no known package" for item in lock.system.libraries}
    return libraries | {item.name: item.package or "no known package" for item in lock.system.programs}


def _models(lock: Lock) -> dict[str, str]:
    return {f"{item.folder}/{item.name}": f"{item.size:,} bytes {item.sha256[:_SHORT]}" for item in lock.models}


def _inputs(lock: Lock) -> dict[str, str]:
    return {item.name: f"{item.size:,} bytes {item.sha256[:_SHORT]}" for item in lock.inputs}


def _files(lock: Lock) -> dict[str, str]:
    return {f"{item.place}/{item.name}": f"{item.size:,} bytes {item.sha256[:_SHORT]}" for item in lock.files}


def _findings(findings: Sequence[Finding]) -> dict[str, str]:
    return {f"{item.code} {item.subject}": item.message for item in findings}
