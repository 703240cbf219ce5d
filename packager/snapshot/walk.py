"""The files of an environment that the system has to serve: found by walking it, links to folders not followed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import LEFT_OUT, is_checkout, tree_files
from ..comfy import Install
from ..errors import CapsuleError

# Of ComfyUI's own folder: what is something else, or never runs with it.
_NOT_COMFYUI = frozenset({"custom_nodes", "models", "input", "output", "temp", "user", "tests", "tests-unit"})


class Found(BaseModel):
    """One file: where it is, of which package or pack it is, and what its content is known by in a cache."""

    model_config = ConfigDict(frozen=True)

    folder: str  # absolute, without a link in it
    name: str
    owner: str
    key: str

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)


def enabled_packs(install: Install) -> Iterator[Path]:
    """The folders and files that ComfyUI loads as packs (nodes.py, 0.30.0, ``init_external_custom_nodes``)."""
    for root in install.custom_nodes:
        for place in sorted(root.iterdir()) if root.is_dir() else ():
            if place.name.startswith((".", "__pycache__")) or place.name.endswith(".disabled"):
                continue
            if place.is_dir() or place.suffix == ".py":
                yield place


def in_site_packages(install: Install, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """The `wanted` files (by name) of every distribution; the owner is the importable package beside or above."""
    for site in install.site_packages:
        root = os.path.realpath(site)
        for folder, name in _files(root, wanted, frozenset()):
            top = (folder if folder != root else os.path.join(root, name))[len(root) + 1 :].split(os.sep)[0]
            owner = top.removesuffix(".libs") if folder != root else top.split(".")[0]
            yield from _found(folder, name, owner)


def in_packs(install: Install, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """The `wanted` files of every enabled pack, those apart that git ignores: they do not travel with it."""
    for place in enabled_packs(install):
        root = os.path.realpath(place)
        if place.is_file():
            if wanted(place.name):
                yield from _found(os.path.dirname(root), os.path.basename(root), place.name)
            continue
        yield from _travelling(Path(root), place.name, _files(root, wanted, frozenset()))


def in_comfyui(install: Install, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """The `wanted` files of ComfyUI itself, as `in_packs`."""
    root = os.path.realpath(install.root)
    yield from _travelling(Path(root), "ComfyUI", _files(root, wanted, _NOT_COMFYUI))


def _travelling(root: Path, owner: str, files: Iterator[tuple[str, str]]) -> Iterator[Found]:
    here = list(files)
    kept = _tree(root) if here else None
    for folder, name in here:
        if kept is None or Path(folder, name).relative_to(root).as_posix() in kept:
            yield from _found(folder, name, owner)


def _tree(root: Path) -> frozenset[str] | None:
    """The files that travel with a checkout; None for a plain folder, and where git cannot say it."""
    if not is_checkout(root):
        return None
    try:
        return frozenset(tree_files(root))
    except CapsuleError:
        return None


def _files(root: str, wanted: Callable[[str], bool], but: frozenset[str]) -> Iterator[tuple[str, str]]:
    """``(folder, name)`` of each file below `root`; `but` are names of folders right in it that are left out."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue  # not to be read, or gone meanwhile
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left_out = entry.name in LEFT_OUT or (folder == root and entry.name in but)
                if not left_out and not (but and entry.name.startswith(".")):
                    waiting.append(entry.path)
            elif wanted(entry.name):
                yield folder, entry.name


def _found(folder: str, name: str, owner: str) -> Iterator[Found]:
    try:
        os.path.join(folder, name).encode()
        status = os.stat(os.path.join(folder, name))
    except (OSError, UnicodeEncodeError):
        return  # a link to nothing, or a name in no encoding that a lock could have
    key = f"{folder}/{name}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    yield Found(folder=folder, name=name, owner=owner, key=key)
