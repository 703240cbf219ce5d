"""The comparisons of `verify`, one function a part of the lock; each gives rows."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.pylock import Package

from ..caches import cache_roots
from ..capsule import (
    NOBODY,
    ComfyUI,
    InputFile,
    Model,
    Pack,
    Platform,
    PythonTool,
    System,
    UsedFile,
    canonical_json,
    safe_name,
)
from ..comfy import Install
from ..digest_cache import sha256_files
from ..hashing import Hashed
from ..materialise import LockedPython, pack_place, used_place
from ..progress import Report, silent
from ..workflow import frozen_signature
from .table import Row, row

#: What is expected of a thing that the capsule does not have and that may be there.
KEPT = "kept"

_SHORT = 12  # hex digits shown of a digest; what is compared is the whole


def platform_rows(expected: Platform, found: Platform) -> Iterator[Row]:
    """One row a fact that the capsule has; of distributions that it does not name, their own rows tell."""
    said = found.model_dump()
    for name, value in expected.model_dump().items():
        if value:
            yield row("platform", name, str(value), str(said[name]))


def comfyui_rows(expected: ComfyUI, found: ComfyUI) -> Iterator[Row]:
    """Version, commit and tree of ComfyUI."""
    yield row("comfyui", "version", expected.version, found.version)
    yield row("comfyui", "commit", expected.commit, found.commit)
    yield row("comfyui", "tree", expected.tree, found.tree)


def system_rows(expected: System, found: System) -> Iterator[Row]:
    """One row a library and a program that the files need; more of them is no difference.

    The files themselves are compared elsewhere, and a newer version of ours may know of programs that an older did not.
    """
    libraries, programs = {item.soname for item in found.libraries}, {item.name for item in found.programs}
    for library in expected.libraries:
        here = "needed" if library.soname in libraries else "not needed"
        yield row("system", library.soname, "needed", here)
    for program in expected.programs:
        yield row("system", program.name, "called", "called" if program.name in programs else "not called")


def pack_rows(expected: Sequence[Pack], found: Sequence[Pack], kept: Collection[str] = ()) -> Iterator[Row]:
    """One row a pack: its kind, commit, tree and state; then those that the capsule does not have.

    Args:
        kept: the places of those that may be there beside the capsule's.
    """
    here = {pack_place(pack): pack for pack in found}
    for pack in expected:
        other = here.pop(pack_place(pack), None)
        same = other is not None and _pack_facts(pack) == _pack_facts(other)
        yield row("pack", pack.name, pack_words(pack), pack_words(other) if other else "missing", same)
    for place, pack in here.items():
        said = KEPT if place in kept else "not there"
        yield row("pack", pack.name, said, pack_words(pack), place in kept)


def _pack_facts(pack: Pack) -> tuple[object, ...]:
    inside = [(item.path, item.commit) for item in pack.submodules]
    return (pack.kind, pack.registry, pack.commit, pack.tree, pack.enabled, inside)


def pack_words(pack: Pack) -> str:
    """What a pack is, in few words."""
    words = [pack.kind, pack.registry or pack.commit[:_SHORT], f"tree {pack.tree[:_SHORT]}"]
    if pack.submodules:
        words.append(f"{len(pack.submodules)} submodules")
    return " ".join(word for word in [*words, "" if pack.enabled else "disabled"] if word)


def python_rows(expected: LockedPython, found: LockedPython, kept: Collection[str] = ()) -> Iterator[Row]:
    """One row a distribution: its version, what its RECORD lists, and its files that are not as listed.

    What the capsule carries of changed files counts as equal, everything else that is changed does not.

    Args:
        kept: the names of distributions that may be there beside the capsule's.
    """
    wanted, here = expected.versions(), found.versions()
    for name in sorted(wanted | here):
        if name not in wanted and name in kept:
            yield row("python", name, KEPT, here[name], True)
            continue
        if name not in wanted or name not in here:
            yield row("python", name, wanted.get(name, "not there"), here.get(name, "missing"), False)
            continue
        odd = _differing(expected.tool, found.tool, name)
        same = wanted[name] == here[name] and not odd and _is_same_content(expected, found, name)
        said, seen = (_words(locked, name) for locked in (expected, found))
        yield row("python", name, said, seen + (f", changed: {some(odd)}" if odd else ""), same)
    strays = _differing(expected.tool, found.tool, NOBODY)
    if strays:
        yield row("python", "files of no distribution", "as captured", some(strays), False)


def _is_same_content(expected: LockedPython, found: LockedPython, name: str) -> bool:
    """By the RECORD, which lists every file; where a capsule does not have it, by the hash of the wheel."""
    records = (expected.tool.records.get(name), found.tool.records.get(name))
    trees = [{item.name: item for item in locked.tool.editables}.get(name) for locked in (expected, found)]
    sources = [locked.commits().get(name) for locked in (expected, found)]
    if sources[0] and sources[0] == sources[1]:
        return True  # built where it is installed, from the same commit; a build may differ
    if all(records):
        return records[0] == records[1] and trees[0] == trees[1]
    hashes, others = _hashes(expected), _hashes(found)
    # A found file without a known hash says nothing against; `unproved_python` names it.
    return name not in hashes or name not in others or hashes[name] == others[name]


def _differing(expected: PythonTool, found: PythonTool, name: str) -> list[str]:
    """The places of files of `name` that are changed, or not there, on one of the two sides only."""
    wanted, here = (
        {file.path: (file.sha256, file.executable) for file in tool.changed.get(name, ())}
        | dict.fromkeys(tool.removed.get(name, ()), ("", False))
        for tool in (expected, found)
    )
    places = {place for place in wanted | here if wanted.get(place) != here.get(place)}
    return sorted(place.removeprefix("site-packages/") for place in places)


def unproved_python(expected: LockedPython, found: LockedPython) -> tuple[str, ...]:
    """The names of which nothing is known, on both sides, that would hold their content."""
    pairs = [(_hashes(expected), _hashes(found)), (expected.tool.records, found.tool.records)]
    return tuple(
        name for name in sorted(expected.versions()) if not any(name in one and name in other for one, other in pairs)
    )


def _hashes(locked: LockedPython) -> dict[str, str]:
    return {str(package.name): text for package in locked.pylock.packages if (text := _identity(package))}


def _identity(package: Package) -> str:
    """What holds a distribution to its bytes: digests of its files, or the commit it is built from."""
    if package.vcs is not None:
        return package.vcs.commit_id
    files = [*(package.wheels or ()), *(file for file in (package.sdist, package.archive) if file is not None)]
    return " ".join(sorted(f"{key}:{value}" for file in files for key, value in file.hashes.items()))


def _words(locked: LockedPython, name: str) -> str:
    record, identity = locked.tool.records.get(name, ""), _hashes(locked).get(name, "")
    shown = record[:_SHORT] or identity.partition(":")[2][:_SHORT] or identity[:_SHORT]
    return f"{locked.versions()[name]} {shown or ', file not known'}".replace(" ,", ",")


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def model_rows(models: Sequence[Model], folders: Mapping[str, Sequence[Path]], report: Report) -> Iterator[Row]:
    """One row a model of the capsule; `folders` are the places of each folder type, in the order ComfyUI looks.

    A folder that is no type (a pack reads it by itself) is looked for beside those that are.
    """
    beside = dict.fromkeys(place.parent for kind, roots in folders.items() for place in roots if place.name == kind)
    places = []
    for model in models:
        roots = folders.get(model.folder) or [place / safe_name(model.folder) for place in beside]
        candidates = [folder / safe_name(model.name) for folder in roots]
        places.append((model, next((path for path in candidates if path.is_file()), None)))
    hashed = _hashed(places, report)
    for model, path in places:
        yield _file_row("model", f"{model.folder}/{model.name}", path, model, hashed)


def input_rows(inputs: Sequence[InputFile], folder: Path) -> Iterator[Row]:
    """One row an input file of the capsule; `folder` is ComfyUI's input folder."""
    places = [(item, folder / safe_name(item.name)) for item in inputs]
    hashed = _hashed(places, silent)
    for item, path in places:
        yield _file_row("input", item.name, path, item, hashed)


def file_rows(files: Iterable[UsedFile], install: Install, report: Report) -> Iterator[Row]:
    """One row a further file that a run opened. Those of caches may lie in the install's own, or in this user's."""
    places = [(item, _used_file(item, install)) for item in files]
    hashed = _hashed(places, report)
    for item, path in places:
        yield _file_row("file", used_place(item), path, item, hashed)


def _used_file(item: UsedFile, install: Install) -> Path | None:
    candidates = [install.root / used_place(item)]
    if item.place == "cache":
        for root, name in cache_roots(os.environ, Path.home()):
            inside = PurePosixPath(item.name)
            if inside.is_relative_to(name):
                candidates.append(root / inside.relative_to(name))
    elif item.name.startswith("custom_nodes/"):
        candidates += [root / item.name.removeprefix("custom_nodes/") for root in install.custom_nodes]
    return next((path for path in candidates if path.is_file()), None)


def _hashed(places: Sequence[tuple[Model | InputFile | UsedFile, Path | None]], report: Report) -> dict[Path, Hashed]:
    """The files that have the right size: another size is difference enough."""
    alike = [path for item, path in places if path and path.is_file() and path.stat().st_size == item.size]
    return sha256_files(alike, report, phase="verify")


def _file_row(
    kind: str, subject: str, path: Path | None, expected: Model | InputFile | UsedFile, hashed: Mapping[Path, Hashed]
) -> Row:
    if path is None or not path.is_file():
        return row(kind, subject, expected.sha256[:_SHORT], "missing", False)
    if path not in hashed:
        return row(kind, subject, expected.sha256[:_SHORT], f"{path.stat().st_size:,} bytes", False)
    found = hashed[path]
    shown = found.error.message if found.error else found.sha256[:_SHORT]
    return row(kind, subject, expected.sha256[:_SHORT], shown, found.sha256 == expected.sha256)


def node_rows(frozen: Mapping[str, Any], object_info: Mapping[str, Any]) -> Iterator[Row]:
    """One row a node class of `frozen`: its frozen definition against the running one's."""
    for name, wanted in frozen.items():
        if name not in object_info:
            yield row("node", name, "as captured", "missing", False)
            continue
        found = frozen_signature(object_info[name])
        keys = sorted(
            key for key in {*wanted, *found} if canonical_json(wanted.get(key)) != canonical_json(found.get(key))
        )
        yield row("node", name, "as captured", f"differs in {', '.join(keys)}" if keys else "as captured")
