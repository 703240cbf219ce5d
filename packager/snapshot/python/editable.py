"""An editable distribution as it can be carried: its source tree, and a wheel that puts that tree on Python's path.

Restored, the tree lies in the venv as ``src/NAME``, and nothing needs to be built. What an editable install is depends
on the build backend (PEP 660): a ``.pth`` file with folders, or setuptools' finder, which maps module names to folders.
"""

from __future__ import annotations

import ast
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...capsule import LEFT_OUT, Editable, plain_files, sha256_bytes, tree_files
from ...errors import CapsuleError
from .contents import Distribution, Places
from .distinfo import own_lines
from .record import SITE
from .wheelmake import Packed, metadata_files, pack, wheel_name
from .wheelzip import local_path

_MOST = 256 << 20  # bytes of a tree
#: Modules may be ignored by git: built extensions, a version file that a build wrote.
_MODULES = (".py", ".so", ".pyd", ".dylib", ".dll")


class Carried(NamedTuple):
    """What stands in the lock, and the two entries: the wheel and the tree."""

    said: Editable
    wheel_name: str
    wheel: bytes
    tree: bytes


class CannotCarry(Exception):
    """Why not; goes on after ``The distribution NAME VERSION``."""


def carry_editable(item: Distribution, places: Places) -> Carried:
    """Read the editable `item`.

    Raises:
        CannotCarry: its folder is gone or too large, or its backend does what cannot be told without running it.
    """
    own = _own_name(item)
    root = editable_folder(item, places)
    if root is None or not root.is_dir():
        raise CannotCarry("is editable, and its folder is gone.")
    root = root.resolve()
    try:
        paths, modules = _imports(item, places, root, places.prefix / f"src/{item.name}.modules")
        tree = _tar(root)
        files = metadata_files(item, places)
    except OSError as error:
        raise CannotCarry(f"is editable, and cannot be read: {error.strerror}.") from error
    if not paths and not modules:
        raise CannotCarry("is editable in a way that only running it would tell.")
    entry = f"python/{item.name}-{item.version}.tar"
    said = Editable(name=item.name, tree=entry, sha256=sha256_bytes(tree), paths=tuple(sorted(paths)), modules=modules)
    files[own] = Packed(_own_path_file(said, places))
    return Carried(said, wheel_name(item), pack(item.info, files), tree)


def editable_folder(item: Distribution, places: Places) -> Path | None:
    """Where the source of the editable `item` is said to be."""
    if (places.site / _own_name(item)).is_file():
        return places.prefix / "src" / item.name
    return local_path(str((item.direct_url or {}).get("url", "")))


def _own_name(item: Distribution) -> str:
    return f"__capsule__.{item.name}.pth"


def _own_path_file(said: Editable, places: Places) -> bytes:
    up = "../" * (2 if places.site.parent.name == "Lib" else 3)
    folders = [os.path.normpath(f"src/{said.name}/{path}").replace(os.sep, "/") for path in said.paths]
    if said.modules:
        folders.append(f"src/{said.name}.modules")
    return "".join(f"{up}{folder}\n" for folder in folders).encode()


def _imports(item: Distribution, places: Places, root: Path, linked: Path) -> tuple[list[str], dict[str, str]]:
    """The folders of `root` that are on Python's path, and the modules that are mapped into it."""
    paths: list[str] = []
    modules: dict[str, str] = {}
    names = [line.place.removeprefix(SITE) for line in own_lines(places, item.info)[0] if line.place.startswith(SITE)]
    for name in names:
        if "/" in name:
            continue
        text = (places.site / name).read_text("utf-8", "replace")
        if name.endswith("_finder.py"):
            modules.update({key: _inside(root, Path(path)) for key, path in _mapping(text).items()})
        for line in text.splitlines() if name.endswith(".pth") else ():
            folder = Path(os.path.normpath(places.site / line.strip()))
            if folder == linked:
                modules.update(_linked(linked, root))
            elif line.startswith("import ") and "__editable__" in line:
                continue  # setuptools' finder, which was read above
            elif line.startswith(("import ", "import\t")):
                raise CannotCarry("is editable in a way that only running it would tell.")
            elif line.strip():
                paths.append(_inside(root, folder))
    return paths, dict(sorted(modules.items()))


def _mapping(finder: str) -> dict[str, str]:
    """The ``MAPPING`` that setuptools writes into its finder; read, not run."""
    try:
        for node in ast.parse(finder).body:
            target = node.target if isinstance(node, ast.AnnAssign) else None
            if (
                isinstance(target, ast.Name)
                and target.id == "MAPPING"
                and isinstance(node, ast.AnnAssign)
                and node.value
            ):
                said = ast.literal_eval(node.value)
                return {str(key): str(value) for key, value in said.items()}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise CannotCarry("is editable in a way that cannot be read.") from error
    return {}


def _linked(folder: Path, root: Path) -> dict[str, str]:
    """The modules in a restored ``src/NAME.modules``, whose files are links into the tree."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            if path.is_symlink():
                key = path.relative_to(folder).as_posix().replace("/", ".")
                found[key.removesuffix(".py")] = _inside(root, path.resolve())
    return found


def _inside(root: Path, path: Path) -> str:
    try:
        return path.resolve().relative_to(root).as_posix()
    except ValueError as error:
        raise CannotCarry("is editable, and imports from outside its own folder.") from error


def _tar(root: Path) -> bytes:
    """The tree as a tar without times, owners or anything else of this machine."""
    packed, total = io.BytesIO(), 0
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in _tree(root):
            path = root / name
            status = path.lstat()
            info = tarfile.TarInfo(name)
            if stat.S_ISLNK(status.st_mode):
                info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
                if not _stays(info.linkname, name):
                    raise CannotCarry(f"is editable, and its folder has a link that leads out of it: {name}.")
                archive.addfile(info)
            elif stat.S_ISREG(status.st_mode):
                data = path.read_bytes()
                total += len(data)
                if total > _MOST:
                    raise CannotCarry(f"is editable, and its folder has more than {_MOST >> 20} MiB.")
                info.size, info.mode = len(data), 0o755 if status.st_mode & stat.S_IXUSR else 0o644
                archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def _stays(link: str, name: str) -> bool:
    target = os.path.normpath(os.path.join(os.path.dirname(name), link))
    return not os.path.isabs(link) and target != ".." and not target.startswith(f"..{os.sep}")


def _tree(root: Path) -> list[str]:
    try:
        files = tree_files(root)
    except CapsuleError:  # git cannot read it
        files = plain_files(root)[0]
    return sorted({*files, *_ignored_modules(root)})


def _ignored_modules(root: Path) -> Iterator[str]:
    for base, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".")]
        for name in files:
            if name.endswith(_MODULES):
                yield Path(base, name).relative_to(root).as_posix()
