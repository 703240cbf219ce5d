"""Whose file is this? Each file that a run opened, told apart by where it lies."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from ...caches import CACHES, cache_roots
from ...capsule import NOT_CORE, plain_files, tree_files
from ...comfy import Install, Trace
from ...errors import CapsuleError
from ..models.folders import model_folders
from ..models.search import Found

# What the operating system brings; fonts are not in every image of it.
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys", "/dev", "/run", "/var")
_OF_MACOS = ("/System", "/Library", "/private/var", "/private/etc", "/opt/homebrew")
_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts")


class OpenedFile(NamedTuple):
    """A file to record: of which `place` (see `UsedFile`), its name there, where it lies, and whose it is."""

    place: Literal["comfyui", "cache"]
    name: str
    path: Path
    subject: str


class Opened(NamedTuple):
    """What a run opened.

    Attributes:
        models: files in models folders.
        inputs: names in ComfyUI's input folder.
        files: what git ignores in ComfyUI and its packs, and what lies in the user's caches.
        outside: files in no place that a capsule knows.
    """

    models: tuple[Found, ...]
    inputs: tuple[str, ...]
    files: tuple[OpenedFile, ...]
    outside: tuple[Path, ...]


def sort_opened(
    install: Install, trace: Trace, environment: Mapping[str, str], home: Path, editables: Iterable[Path] = ()
) -> Opened:
    """Tell the files that a run of `install` opened apart. What the lock has anyway is in none of them.

    Args:
        environment, home: of the run; they say where its caches are.
        editables: the source folders of editable distributions, which the Python lock carries.
    """
    places = _Places(install, trace, environment, home, tuple(editables))
    models: dict[tuple[str, str], Found] = {}
    files: dict[tuple[str, str], OpenedFile] = {}
    inputs: set[str] = set()
    outside: set[Path] = set()
    for path in {_source(path) for path in trace.read}:
        found = places.of(path)
        if isinstance(found, Found):
            models[found.folder, found.name] = found
        elif isinstance(found, OpenedFile):
            files[found.place, found.name] = found
        elif isinstance(found, str):
            inputs.add(found)
        elif found is not None:
            outside.add(found)
    return Opened(
        models=tuple(models[key] for key in sorted(models)),
        inputs=tuple(sorted(inputs)),
        files=tuple(files[key] for key in sorted(files)),
        outside=tuple(sorted(outside)),
    )


def _source(path: Path) -> Path:
    """Of byte code the file that it was made from."""
    if path.suffix != ".pyc":
        return path
    try:
        source = Path(importlib.util.source_from_cache(str(path)))
    except ValueError:
        return path
    return source if source.is_file() else path


class _Places:
    def __init__(
        self, install: Install, trace: Trace, environment: Mapping[str, str], home: Path, editables: tuple[Path, ...]
    ) -> None:
        self._install = install
        python = [*install.site_packages, install.python.parent.parent, install.base_prefix, *editables]
        self._python = _both(path for path in python if not install.root.is_relative_to(path))
        self._packs = [(place, root) for root in install.custom_nodes for place in _both([root])]
        self._models = [(place, folder.name) for folder in model_folders(install) for place in _both(folder.roots)]
        self._inputs = _both([install.input_dir])
        self._passing = _both([install.output_dir, install.temp_dir, install.user_dir])
        self._core = _both([install.root])
        theirs = cache_roots(environment, home)
        own = [(install.root / CACHES, ""), *((root, name) for root, name in theirs if name)]
        self._hubs = [(place, name) for root, name in own for place in _both([root])]
        self._caches = [(place, name) for root, name in theirs if not name for place in _both([root])]
        temporary = _both([Path(tempfile.gettempdir())])
        self._temporary = frozenset(path for path in trace.made if _inside(path, temporary))
        system = [*_SYSTEM, *_OF_MACOS, environment.get("SYSTEMROOT", "")]
        self._system = _both(Path(name) for name in system if name)
        self._tree = cache(_tree)

    def of(self, path: Path) -> Found | OpenedFile | str | Path | None:
        """A model, another file, the name of an input, a path outside; None where nothing needs to be said."""
        if _inside(path, self._python) is not None or ".git" in path.parts:
            return None
        if (cached := _of_caches(path, self._hubs)) is not None:  # they may lie in ComfyUI's own folder
            return cached
        for place, root in self._packs:
            if path.is_relative_to(place):
                return self._of_pack(path, root, _name(path, place))
        for root, folder in self._models:
            if path.is_relative_to(root):
                return Found(folder, _name(path, root), path)
        if (inside := _inside(path, self._inputs)) is not None:
            return inside
        if _inside(path, self._passing) is not None:
            return None
        if (inside := _inside(path, self._core)) is not None:
            return self._of_core(path, inside)
        if (cached := _of_caches(path, self._caches)) is not None:  # ComfyUI may lie in there
            return cached
        is_font = any(path.is_relative_to(place) for place in _FONTS)
        passes = path in self._temporary or (_inside(path, self._system) is not None and not is_font)
        return None if passes else path

    def _of_pack(self, path: Path, root: Path, name: str) -> OpenedFile | None:
        """`name` is relative to the custom_nodes folder `root`."""
        parts = name.split("/")
        deep = 2 if parts[0] == ".disabled" else 1
        pack, inside = "/".join(parts[:deep]), "/".join(parts[deep:])
        if not inside or _is_known(self._tree(root / pack, False), root / pack, inside):
            return None
        return OpenedFile("comfyui", f"custom_nodes/{name}", path, parts[deep - 1].removesuffix(".disabled"))

    def _of_core(self, path: Path, name: str) -> OpenedFile | None:
        top = name.partition("/")[0]
        if top in NOT_CORE and top != "models":  # a file at the top of models is of no folder type
            return None
        if _is_known(self._tree(self._install.root, True), self._install.root, name):
            return None
        return OpenedFile("comfyui", name, path, "ComfyUI")


def _of_caches(path: Path, roots: Iterable[tuple[Path, str]]) -> OpenedFile | None:
    for root, prefix in roots:
        if path.is_relative_to(root):
            name = "/".join(part for part in (prefix, _name(path, root)) if part)
            return OpenedFile("cache", name, path, f"the cache {name.partition('/')[0]}")
    return None


def _tree(folder: Path, core: bool) -> frozenset[str]:
    try:
        without = NOT_CORE if core else ()
        try:
            return frozenset(tree_files(folder, without))
        except CapsuleError:  # a checkout that git cannot read is carried as a plain folder
            return frozenset(plain_files(folder, without)[0])
    except OSError:
        return frozenset()  # a finding of its own says so


def _is_known(names: frozenset[str], folder: Path, name: str) -> bool:
    """Whether the file `name` of the tree in `folder` is one of its `names`, also when a link in it led there."""
    if name in names:
        return True
    real, root = os.path.realpath(folder / name), os.path.realpath(folder)
    return os.path.relpath(real, root).replace(os.sep, "/") in names


def _both(paths: Iterable[Path]) -> list[Path]:
    """Each folder by the name it is known by, and by the one it really has."""
    return list(dict.fromkeys(place for path in paths for place in (path, Path(os.path.realpath(path)))))


def _inside(path: Path, folders: Iterable[Path]) -> str | None:
    """The name of `path` in the first of `folders` that it lies in; None when it is in none of them."""
    return next((_name(path, folder) for folder in folders if path.is_relative_to(folder)), None)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
