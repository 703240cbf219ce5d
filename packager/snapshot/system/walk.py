"""The files of an environment that the system has to serve: found by walking it, links to folders not followed."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...capsule import LEFT_OUT, git, git_names, is_checkout
from ...comfy import Install
from ...errors import CapsuleError

# Of ComfyUI's own folder: what is something else, or never runs with it.
_NOT_COMFYUI = frozenset({"custom_nodes", "models", "input", "output", "temp", "user", "tests", "tests-unit"})
_MOST_ASKED = 200  # file names on one command line; asking for all files is slower, and has no limit


class Found(BaseModel):
    """One file: where it is, of which package or pack it is, and what its content is known by in a cache."""

    model_config = ConfigDict(frozen=True)

    folder: str  # absolute, without a link in it
    name: str
    owner: str
    key: str
    root: str = ""  # of the pack or ComfyUI that it travels with, absolute; empty for a distribution's file

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
    """The `wanted` files of every enabled pack; see `travelling`."""
    for place in enabled_packs(install):
        root = os.path.realpath(place)
        if place.is_file():
            if wanted(place.name):
                yield from _found(os.path.dirname(root), os.path.basename(root), place.name)
            continue
        for folder, name in _files(root, wanted, frozenset()):
            yield from _found(folder, name, place.name, root)


def in_comfyui(install: Install, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """The `wanted` files of ComfyUI itself; see `travelling`."""
    root = os.path.realpath(install.root)
    for folder, name in _files(root, wanted, _NOT_COMFYUI):
        yield from _found(folder, name, "ComfyUI", root)


def travelling(files: Iterable[Found]) -> list[Found]:
    """Those of `files` that are captured: a file that git ignores stays where it is, and is not there after a restore.

    git is asked once a checkout, so give it the few files that matter.
    """
    files = list(files)
    names = defaultdict(list)
    for file in files:
        names[file.root].append(file)
    kept = {file.path for root, group in names.items() for file in _kept(root, group)}
    return [file for file in files if file.path in kept]


def _kept(root: str, files: list[Found]) -> list[Found]:
    if not root or not is_checkout(Path(root)):
        return files
    paths = {os.path.relpath(file.path, root): file for file in files}
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
    asked = [f":(literal){path}" for path in paths] if len(paths) <= _MOST_ASKED else ["."]
    try:
        listed = git(Path(root), *words, *asked)
    except CapsuleError:
        return files  # git cannot say it, which is a finding of its own
    return [paths[name] for name in git_names(listed) if name in paths]


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


def _found(folder: str, name: str, owner: str, root: str = "") -> Iterator[Found]:
    try:
        os.path.join(folder, name).encode()
        status = os.stat(os.path.join(folder, name))
    except (OSError, UnicodeEncodeError):
        return  # a link to nothing, or a name in no encoding that a lock could have
    key = f"{folder}/{name}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    yield Found(folder=folder, name=name, owner=owner, key=key, root=root)
