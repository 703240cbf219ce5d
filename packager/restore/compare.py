"""The comparisons of `verify`, one function a part of the lock; each gives rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.pylock import Package

from ..capsule import Capsule, ComfyUI, InputFile, Model, Pack, Platform, safe_name
from ..digest_cache import sha256_files
from ..hashing import Hashed
from ..materialise import LockedPython, pack_place
from ..progress import Report, silent
from ..workflow import frozen_signature
from .table import Row, row

_SHORT = 12  # hex digits shown of a digest; what is compared is the whole


def platform_rows(expected: Platform, found: Platform) -> Iterator[Row]:
    """One row a fact."""
    said = found.model_dump()
    for name, value in expected.model_dump().items():
        yield row("platform", name, str(value), str(said[name]))


def comfyui_rows(expected: ComfyUI, found: ComfyUI) -> Iterator[Row]:
    """Version, commit and tree of ComfyUI."""
    yield row("comfyui", "version", expected.version, found.version)
    yield row("comfyui", "commit", expected.commit, found.commit)
    yield row("comfyui", "tree", expected.tree, found.tree)


def pack_rows(expected: Sequence[Pack], found: Sequence[Pack]) -> Iterator[Row]:
    """One row a pack: its kind, commit, tree and state; then those that the capsule does not have."""
    here = {pack_place(pack): pack for pack in found}
    for pack in expected:
        other = here.pop(pack_place(pack), None)
        same = other is not None and _pack_facts(pack) == _pack_facts(other)
        yield row("pack", pack.name, _pack_words(pack), _pack_words(other) if other else "missing", same)
    for pack in here.values():
        yield row("pack", pack.name, "not there", _pack_words(pack), False)


def _pack_facts(pack: Pack) -> tuple[object, ...]:
    inside = [(item.path, item.commit) for item in pack.submodules]
    return (pack.kind, pack.registry, pack.commit, pack.tree, pack.enabled, inside)


def _pack_words(pack: Pack) -> str:
    words = [pack.kind, pack.registry or pack.commit[:_SHORT], f"tree {pack.tree[:_SHORT]}"]
    if pack.submodules:
        words.append(f"{len(pack.submodules)} submodules")
    return " ".join(word for word in [*words, "" if pack.enabled else "disabled"] if word)


def python_rows(expected: LockedPython, found: LockedPython, changed: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """One row a distribution: its version and the hashes of its file; `changed` as `changed_files` gives it."""
    wanted, here = expected.versions(), found.versions()
    hashes, others = _hashes(expected), _hashes(found)
    for name in sorted(wanted | here):
        if name not in wanted or name not in here:
            yield row("python", name, wanted.get(name, "not there"), here.get(name, "missing"), False)
            continue
        same = wanted[name] == here[name] and not changed.get(name)
        # A found file without a known hash says nothing against; `unproved_python` names it.
        if name in hashes and name in others:
            same = same and hashes[name] == others[name]
        yield row(
            "python",
            name,
            _words(wanted[name], hashes.get(name, ""), ()),
            _words(here[name], others.get(name, ""), changed.get(name, ())),
            same,
        )
    strays = changed.get("", ())
    if strays:
        yield row("python", "files of no distribution", "none", some(strays), False)


def unproved_python(expected: LockedPython, found: LockedPython) -> tuple[str, ...]:
    """The names whose file has no hash on one of the two sides."""
    hashes, others = _hashes(expected), _hashes(found)
    return tuple(name for name in sorted(expected.versions()) if name not in hashes or name not in others)


def _hashes(locked: LockedPython) -> dict[str, str]:
    return {str(package.name): text for package in locked.pylock.packages if (text := _identity(package))}


def _identity(package: Package) -> str:
    """What holds a distribution to its bytes: digests of its files, or the commit it is built from."""
    if package.vcs is not None:
        return package.vcs.commit_id
    files = [*(package.wheels or ()), *(file for file in (package.sdist, package.archive) if file is not None)]
    return " ".join(sorted(f"{key}:{value}" for file in files for key, value in file.hashes.items()))


def _words(version: str, identity: str, changed: Sequence[str]) -> str:
    shown = f" {identity.partition(':')[2][:_SHORT] or identity[:_SHORT]}" if identity else ", file not known"
    return f"{version}{shown}" + (f", changed: {some(changed)}" if changed else "")


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def model_rows(models: Sequence[Model], folders: Mapping[str, Sequence[Path]], report: Report) -> Iterator[Row]:
    """One row a model of the capsule; `folders` are the places of each folder type, in the order ComfyUI looks."""
    places = []
    for model in models:
        candidates = [folder / safe_name(model.name) for folder in folders.get(model.folder, ())]
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


def _hashed(places: Sequence[tuple[Model | InputFile, Path | None]], report: Report) -> dict[Path, Hashed]:
    """The files that have the right size: another size is difference enough."""
    alike = [path for item, path in places if path and path.is_file() and path.stat().st_size == item.size]
    return sha256_files(alike, report, phase="verify")


def _file_row(
    kind: str, subject: str, path: Path | None, expected: Model | InputFile, hashed: Mapping[Path, Hashed]
) -> Row:
    if path is None or not path.is_file():
        return row(kind, subject, expected.sha256[:_SHORT], "missing", False)
    if path not in hashed:
        return row(kind, subject, expected.sha256[:_SHORT], f"{path.stat().st_size:,} bytes", False)
    found = hashed[path]
    shown = found.error.message if found.error else found.sha256[:_SHORT]
    return row(kind, subject, expected.sha256[:_SHORT], shown, found.sha256 == expected.sha256)


def node_rows(capsule: Capsule, object_info: Mapping[str, Any]) -> Iterator[Row]:
    """One row a node class that the graph uses: its frozen signature against the running one's."""
    for name, frozen in capsule.object_info.items():
        if name not in object_info:
            yield row("node", name, "as captured", "missing", False)
            continue
        found = frozen_signature(object_info[name])
        keys = sorted(key for key in {*frozen, *found} if frozen.get(key) != found.get(key))
        yield row("node", name, "as captured", f"differs in {', '.join(keys)}" if keys else "as captured")
