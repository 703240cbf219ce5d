"""What comes over the wheels once they are installed: changed files, and the source trees of editables."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ..capsule import Editable, safe_name
from ..errors import BadInput
from .local_wheels import carried
from .paths import place
from .pylock import LockedPython


def lay_over(locked: LockedPython, files: Mapping[str, bytes], prefix: Path, site: str, scripts: str = "bin") -> None:
    """Write what `locked` says is changed, or added, or editable, into the environment (or empty folder) `prefix`.

    Args:
        files: what the capsule carries, by entry.
        site, scripts: the names of the folders for modules and scripts, relative to `prefix`.

    Raises:
        BadInput: ``capsule-damaged``, ``capsule-unsafe-name``.
    """
    for changed in (file for of_one in locked.tool.changed.values() for file in of_one):
        data = carried(files, changed.entry, changed.sha256)
        path = place(prefix, in_prefix(changed.path, site, scripts))
        path.unlink(missing_ok=True)  # it may be a hard link into somebody's cache
        path.write_bytes(data)
        path.chmod(0o755 if changed.executable else 0o644)
        _forget_byte_code(path)
    for editable in locked.tool.editables:
        _unpack(carried(files, editable.tree, editable.sha256), place(prefix, f"src/{editable.name}"))
        _link_modules(editable, prefix)


def removed_names(locked: LockedPython, site: str, scripts: str = "bin") -> list[str]:
    """The names, relative to the prefix, of the files that `locked` says are not there; sorted."""
    places = (one for of_one in locked.tool.removed.values() for one in of_one)
    return sorted(in_prefix(one, site, scripts) for one in places)


def take_away(locked: LockedPython, prefix: Path, site: str, scripts: str = "bin") -> None:
    """Delete the files that `locked` says are not there."""
    for name in removed_names(locked, site, scripts):
        path = place(prefix, name)
        path.unlink(missing_ok=True)
        _forget_byte_code(path)


def in_prefix(where: str, site: str, scripts: str) -> str:
    """The name of the place `where` (``site-packages/…``, ``scripts/…``, ``prefix/…``), relative to the prefix."""
    kind, _, rest = where.partition("/")
    return {"site-packages": f"{site}/{rest}", "scripts": f"{scripts}/{rest}"}.get(kind, rest)


def _forget_byte_code(path: Path) -> None:
    for compiled in path.parent.glob(f"__pycache__/{_glob_safe(path.stem)}.*.pyc"):
        compiled.unlink()


def _glob_safe(name: str) -> str:
    """`name` as a pattern that matches nothing else."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _unpack(tar: bytes, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            for member in archive:
                path = place(root, member.name)
                if member.issym():
                    _check_link(member)
                    os.symlink(member.linkname, path)
                elif member.isreg() and (file := archive.extractfile(member)) is not None:
                    path.write_bytes(file.read())
                    path.chmod(0o755 if member.mode & 0o100 else 0o644)
                else:
                    raise _odd(member.name)
    except tarfile.TarError as error:
        raise BadInput("capsule-damaged", f"A source tree in the capsule is no tar: {error}.", _CURE) from error


def _check_link(member: tarfile.TarInfo) -> None:
    target = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))
    if os.path.isabs(member.linkname) or target.split(os.sep)[0] == "..":
        raise _odd(member.name)


def _link_modules(editable: Editable, prefix: Path) -> None:
    tree = prefix / "src" / editable.name
    for module, name in editable.modules.items():
        target = tree if name == "." else tree / safe_name(name)
        suffix = ".py" if target.is_file() else ""
        link = place(prefix, f"src/{editable.name}.modules/{module.replace('.', '/')}{suffix}")
        os.symlink(os.path.relpath(target, link.parent), link)


_CURE = "Do not use this capsule; ask its author for a new one."


def _odd(name: str) -> BadInput:
    message = f"A source tree in the capsule holds {name!r}, which is no plain file or leads out of it."
    return BadInput("capsule-unsafe-name", message, _CURE)
