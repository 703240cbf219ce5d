"""The environment's proof: platform, trees, Python, OS libraries and, booted without a network, the node classes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..capsule import NOT_CORE, Library, Lock, Pack, Program, plain_files, sha256_file, tree_digest
from ..comfy import Install, boot, needs_cpu_flag
from ..errors import CapsuleError
from ..materialise import pack_place, read_pylock, used_place
from ..progress import silent
from ..restore import Row, Table, file_rows, node_rows, platform_rows, python_rows, row, some, unproved_python
from ..snapshot import classes_by_pack, lock_python, missing_libraries, missing_programs, read_platform
from .parts import PACKS, TREES, Trees

_SHORT = 12  # hex digits shown of a digest
# ComfyUI's own, in that folder.
_NO_PACKS = frozenset({"__pycache__", ".disabled", "example_node.py.example", "websocket_image_save.py"})
# How ComfyUI says that a pack does not load (nodes.py, 0.30.0, load_custom_node).
_FAILED = re.compile(r"Cannot import (?P<place>.+?) module for custom nodes: (?P<why>.*)")
# What torch and CUDA's libraries say where there is no GPU.
_NO_GPU = re.compile(r"no NVIDIA driver|not compiled with CUDA|CUDA driver|libcuda\.so|No CUDA GPUs", re.IGNORECASE)


def prove_environment(part: Path, install: Install) -> Table:
    """Compare `install` with the part ``environment`` that `write_parts` wrote. Boots it."""
    lock = Lock.model_validate(tomllib.loads((part / "capsule.toml").read_text(encoding="utf-8")))
    pylock = (part / "pylock.toml").read_text(encoding="utf-8")
    trees: Trees = json.loads((part / TREES).read_text(encoding="utf-8"))
    object_info = json.loads((part / "object_info.json").read_text(encoding="utf-8"))
    expected, found = read_pylock(pylock), lock_python(install, silent, known=pylock)
    here = read_pylock(found.text)
    rows = [
        *platform_rows(lock.platform, read_platform(install, found.versions)),
        *tree_rows(lock, trees, install.root),
        *python_rows(expected, here),
        *file_rows(lock.files, install, silent),
    ]
    libraries, unproved = needed_rows(lock, (install.base_prefix / "lib",))
    if unknown := unproved_python(expected, here):
        unproved.append(f"No hash could be had to hold to it: {some(unknown)}.")
    nodes, of_nodes = _booted_rows(lock, object_info, install)
    not_captured = [f"{finding.code}: {finding.message}" for finding in lock.findings]
    return Table(rows=(*rows, *libraries, *nodes), unproved=(*unproved, *of_nodes, *not_captured))


def tree_rows(lock: Lock, trees: Trees, root: Path) -> Iterator[Row]:
    """ComfyUI's tree, each pack's, and packs that are too many. `root` is ComfyUI's folder."""
    files = [used_place(item) for item in lock.files]
    yield _tree_row("comfyui", "ComfyUI", lock.comfyui.tree, root, trees[""], _below(files, ""), NOT_CORE)
    places = {pack_place(pack): pack for pack in lock.packs}
    for place, pack in places.items():
        where = root / PACKS / place
        if pack.kind == "file":
            found = sha256_file(where)[:_SHORT] if where.is_file() else "missing"
            yield row("pack", pack.name, pack.tree[:_SHORT], found)
        else:
            name = f"{PACKS}/{place}"
            yield _tree_row("pack", pack.name, pack.tree, where, trees[name], _below(files, f"{name}/"))
    folder = root / PACKS
    there = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
    hidden = folder / ".disabled"
    there |= {f".disabled/{item.name}" for item in hidden.iterdir()} if hidden.is_dir() else set()
    for place in sorted(there - places.keys() - _NO_PACKS):
        yield row("pack", place, "not there", "there", False)


def _below(files: Sequence[str], start: str) -> set[str]:
    return {name.removeprefix(start) for name in files if name.startswith(start)}


def _tree_row(
    kind: str,
    subject: str,
    expected: str,
    where: Path,
    names: Sequence[str],
    also: set[str],
    without: Collection[str] = (),
) -> Row:
    """One tree. Beside its own files there may be those of `also`; any other is a difference."""
    if not where.is_dir():
        return row(kind, subject, f"tree {expected[:_SHORT]}", "missing", False)
    found = tree_digest(where, names)
    kept, _ = plain_files(where, without)  # committed files that hold secrets are in no tree, and come with a checkout
    more = sorted({*kept} - {*names} - also)
    seen = f"tree {found[:_SHORT]}" + (f", and {some(more)}" if more else "")
    return row(kind, subject, f"tree {expected[:_SHORT]}", seen, found == expected and not more)


def needed_rows(lock: Lock, also: Sequence[Path]) -> tuple[list[Row], list[str]]:
    """One row a library and program that a known package holds; a sentence for those of which nobody knows one."""
    libraries, programs = missing_libraries(lock.system, also), missing_programs(lock.system)
    rows, unknown = [], []
    needs: tuple[Library | Program, ...] = (*lock.system.libraries, *lock.system.programs)
    for item in needs:
        name = item.soname if isinstance(item, Library) else item.name
        if item.kind != "os":
            continue
        if name not in libraries and name not in programs:
            rows.append(row("system", name, "there", "there"))
        elif item.package:
            rows.append(row("system", name, "there", f"missing (package {item.package})", False))
        else:
            unknown.append(name)
    return rows, [f"Not there, and no package is known to hold it: {some(unknown)}."] if unknown else []


def _booted_rows(lock: Lock, frozen: Mapping[str, Any], install: Install) -> tuple[list[Row], list[str]]:
    try:
        booted = boot(install)
    except CapsuleError as error:
        return [row("node", "boot", "starts", error.message, False)], []
    without_gpu = bool(lock.observed.gpus) and needs_cpu_flag(install)
    imports, unproved, without = import_rows(lock.packs, booted.object_info, import_failures(booted.lines), without_gpu)
    proved = {name: definition for name, definition in frozen.items() if name not in without}
    return [row("node", "boot", "starts", "starts"), *imports, *node_rows(proved, booted.object_info)], unproved


def import_failures(lines: Iterable[str]) -> dict[str, str]:
    """``{pack's file or folder name: why}`` of the packs that did not load, from what ComfyUI printed."""
    found = (_FAILED.search(line) for line in lines)
    return {Path(match["place"]).name: match["why"] for match in found if match}


def import_rows(
    packs: Sequence[Pack], object_info: Mapping[str, Any], failures: Mapping[str, str], without_gpu: bool
) -> tuple[list[Row], list[str], set[str]]:
    """One row a pack: whether it gives the node classes that it gave.

    Args:
        without_gpu: whether there was a GPU at the capture, and none is here: classes that are not there for that are
            unproved, and no difference.

    Returns:
        The rows, a sentence for each pack that cannot be proved, and the classes that this is about.
    """
    given = classes_by_pack(object_info)
    rows, unproved, without = [], [], set[str]()
    for pack in (pack for pack in packs if pack.enabled):
        place = pack_place(pack)
        wanted, here = set(pack.classes), given.get(place.removesuffix(".py"), set())
        why = failures.get(place, "")
        lacking, more = sorted(wanted - here), sorted(here - wanted)
        if without_gpu and lacking and not more and (not why or _NO_GPU.search(why)):
            unproved.append(f"needs-gpu: {pack.name} gives {some(lacking)} where there is a GPU only.")
            without.update(lacking)
        elif why and not wanted:
            unproved.append(f"{pack.name} does not load here ({why}), and gave no node class where it was captured.")
        else:
            seen = [f"does not load: {why}"] if why else []
            seen += [f"lacks {some(lacking)}"] if lacking and not why else []
            seen += [f"has {some(more)} too"] if more else []
            count = f"{len(wanted)} node classes"
            rows.append(row("import", pack.name, count, ", ".join(seen) or count))
    return rows, unproved, without
