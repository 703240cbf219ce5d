"""The models folders of an install: what lies in them, as ComfyUI lists it, and where a name leads to."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from ...comfy import Install

#: What ComfyUI's own loaders read (``folder_paths.supported_pt_extensions``, 0.30.0), and what packs' loaders do.
MODEL_FILES = frozenset(
    {".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf", ".onnx", ".engine", ".trt"}
    | {".tflite", ".task", ".npz", ".msgpack", ".h5"}
)
_FOLDERS = "folder"  # instead of an extension: this type's models are folders
_SAME_FOLDER = 4  # times that one real folder may be listed, under as many links; more is a maze
_DEEPEST = 40
_MOST = 250_000  # files of one place; of more than that, those that a graph names are still found, one by one


def slashed(name: str) -> str:
    """A model's name with ``/``: on Windows a node sees ``\\``."""
    return name.replace("\\", "/")


def looks_like_model(name: str) -> bool:
    """Whether `name` ends as a model file's does."""
    return ending(name) in MODEL_FILES


def ending(name: str) -> str:
    """``.safetensors``, lower case; empty without one."""
    return os.path.splitext(name)[1].lower()


class ModelFolder:
    """One folder type, or a plain folder beside them that some pack reads by itself.

    Attributes:
        name: where its files are put again: the folder below ComfyUI's models folder. That is the type's name, or,
            for a type whose files lie elsewhere (``ultralytics_bbox`` in ``ultralytics/bbox``), that folder.
        kind: the folder type; empty for a plain folder.
        roots: its places, in the order ComfyUI looks.
        extensions: what it lists; every file when empty.
    """

    def __init__(self, name: str, kind: str, roots: Sequence[Path], extensions: Sequence[str], trees: Trees) -> None:
        self.name = name
        self.kind = kind
        self.roots = tuple(roots)
        self.extensions = frozenset(extensions)
        self._trees = trees

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every file by its name (relative, ``/``); of two roots that have it, the first one's."""
        found: dict[str, Path] = {}
        for root in self.roots:
            for name in self._trees.files(root):
                found.setdefault(name, root / name)
        return found

    @cached_property
    def listed(self) -> frozenset[str]:
        """The names that ComfyUI offers in this type's lists."""
        if not self.extensions:
            return frozenset(self.files)
        return frozenset(name for name in self.files if ending(name) in self.extensions)

    @property
    def of_folders(self) -> bool:
        """Whether its models are whole folders (``diffusers``)."""
        return _FOLDERS in self.extensions

    @cached_property
    def _composed(self) -> dict[str, str]:
        return {composed(name): name for name in self.files if not name.isascii()}

    def find(self, name: str) -> Path | None:
        """The file that `name` leads to, or None. Also when the file system, or Unicode, spells it another way."""
        if name in self.files:
            return self.files[name]
        if not is_relative(name):
            return None
        other = None if name.isascii() else self._composed.get(composed(name))
        if other is not None:
            return self.files[other]
        return next((path for root in self.roots if os.path.isfile(path := root / name)), None)

    @cached_property
    def folders(self) -> frozenset[str]:
        """The names of all folders with files somewhere below them; ``.`` is the place itself."""
        found = {"."} if self.files else set()
        for name in self.files:
            while (name := name.rpartition("/")[0]) and name not in found:
                found.add(name)
        return frozenset(found)

    def alike(self, name: str) -> frozenset[str]:
        """The names that stand beside `name` in a list: those that ComfyUI offers or, when its ending keeps `name` out
        of that, those with its ending. A pack's loader may list them.
        """
        if name in self.listed:
            return self.listed
        return self._by_ending.get(ending(name), frozenset())

    @cached_property
    def _by_ending(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for name in self.files:
            found.setdefault(ending(name), set()).add(name)
        return {key: frozenset(names) for key, names in found.items()}

    @cached_property
    def by_stem(self) -> dict[str, str]:
        """Model files by what people call them: any last parts of the name, with the ending or without."""
        found: dict[str, str] = {}
        names = sorted(filter(looks_like_model, self.files), key=lambda name: (name.count("/"), name))
        for start in range(1 + max((name.count("/") for name in names), default=0)):
            for name in names:
                last = "/".join(name.split("/")[start:])
                if last:
                    found.setdefault(last, name)
                    found.setdefault(os.path.splitext(last)[0], name)
        return found

    def odd(self, name: str) -> bool:
        """Whether something of this name is there that is no file: a pipe, a link that leads nowhere."""
        paths = [root / name for root in self.roots] if is_relative(name) else []
        return any(os.path.lexists(path) and not os.path.isfile(path) and not os.path.isdir(path) for path in paths)


class Trees:
    """The files below a folder, read once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[str, ...]] = {}

    def files(self, root: Path) -> tuple[str, ...]:
        """Relative names with ``/``, links followed as ComfyUI does, but never round in a circle."""
        if root not in self._known:
            self._known[root] = tuple(sorted(islice(_walk(str(root), "", Counter(), 0), _MOST)))
        return self._known[root]


def model_folders(install: Install) -> list[ModelFolder]:
    """Every folder type in ComfyUI's own order, then the plain folders beside them, by name."""
    home, trees = _home(install), Trees()
    own = {kind for kind, roots in install.model_folders.items() if any(root.name == kind for root in roots)}
    found = []
    for kind, roots in install.model_folders.items():
        name = _placed(kind, roots, home, own, install)
        found.append(ModelFolder(name, kind, roots, install.model_extensions.get(kind, ()), trees))
    taken = {root for roots in install.model_folders.values() for root in roots}
    for name in listed_in(home):
        if home / name not in taken and not name.startswith(".") and os.path.isdir(home / name):
            found.append(ModelFolder(name, "", (home / name,), (), trees))
    return found


def is_relative(name: str) -> bool:
    """Whether `name` (with ``/``) stays inside the folder it is looked for in."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False  # half a character, which JSON can say and no file can be called
    return "\0" not in name and not {"..", ".", ""} & set(name.split("/"))


def composed(name: str) -> str:
    """`name` in Unicode's composed form (NFC): macOS writes the other one."""
    return unicodedata.normalize("NFC", name)


def listed_in(folder: Path) -> list[str]:
    """The names of what lies in `folder`, sorted; none when it is not there or not ours to read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _placed(kind: str, roots: Sequence[Path], home: Path, own: set[str], install: Install) -> str:
    """A type with a root of its own name is put there; an alias (``unet_gguf``) with the type whose roots it has."""
    if kind in own:
        return kind
    for other in install.model_folders:
        if other in own and set(roots) & set(install.model_folders[other]):
            return other
    inside = [root.relative_to(home).as_posix() for root in roots if root.is_relative_to(home) and root != home]
    return inside[0] if inside else kind


def _home(install: Install) -> Path:
    """ComfyUI's models folder: the one that most types have their root in, under their own names."""
    default = install.root / "models"
    above = Counter({default: 1})  # also when every type was given a second place
    for kind, roots in install.model_folders.items():
        above.update(root.parent for root in roots if root.name == kind)
    most = max(above.values())
    return default if above[default] == most else next(root for root, count in above.items() if count == most)


def _walk(folder: str, prefix: str, seen: Counter[tuple[int, int]], depth: int) -> Iterator[str]:
    try:
        status = os.stat(folder)
        key = (status.st_dev, status.st_ino)
        if seen[key] >= _SAME_FOLDER or depth > _DEEPEST:
            return
        seen[key] += 1
        with os.scandir(folder) as entries:
            inside = list(entries)
    except OSError:
        return  # not there, or not ours to read: it has nothing for ComfyUI either
    for entry in inside:
        try:
            if entry.is_dir():
                if entry.name not in (".git", ".cache"):
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", seen, depth + 1)
            elif entry.is_file():
                yield prefix + entry.name
        except OSError:
            continue  # a link that leads to itself


SHARD = re.compile(r"^(.*-)\d{5}(-of-\d{5}\.[a-z]+)$")


def companions(path: Path) -> list[str]:
    """Names of the files beside `path` that its format reads with it: the other parts of a split model, and the
    weights that an ONNX file keeps outside itself (``external_data``).
    """
    if found := SHARD.match(path.name):
        head, tail = found.groups()
        beside = path.parent.glob(f"*{tail}")
        return sorted(
            other.name for other in beside if other.name.startswith(head) and other != path and SHARD.match(other.name)
        )
    if path.suffix == ".onnx":
        names = (f"{path.name}_data", f"{path.name}.data")
        return [name for name in names if os.path.isfile(path.with_name(name))]
    return []
