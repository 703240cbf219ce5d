"""What of a checkout is not what its commit gives: found by the bytes, and written down as one patch.

git's own ``status`` is not asked: it obeys the checkout's configuration (filters are programs), trusts times and the
``assume-unchanged`` bit, and sees no difference where a conversion of line ends hides one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...capsule import CheckoutFiles, beyond_links, for_git
from ...progress import Tick, unheard
from .scratch import Scratch, scratch_of

_POINTER = b"version https://git-lfs.github.com/spec/v1"  # git-lfs, docs/spec.md
_POINTER_SIZE = 1024  # bytes; the specification wants less


class Changes(BaseModel):
    """The differences of a checkout from its commit.

    Attributes:
        names: changed, gone and new files, sorted.
        patch: all of them, for ``git apply --binary`` on files that are byte for byte those of the commit.
        pointers: LFS files whose content is not here; contents: those whose content is, so that it is in the patch.
        secret: files with secrets, which are not in the patch.
    """

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...] = ()
    patch: bytes = b""
    pointers: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()


def read_changes(folder: Path, files: CheckoutFiles, commit: str, line_ends: str, tick: Tick = unheard) -> Changes:
    """Compare the checkout at `folder` with `commit`, whose files are `files`.

    Args:
        line_ends: what git was told to make of them, see `Source`.
    """
    hidden = beyond_links(folder, files)
    pointers, differing = [], []
    for name, (mode, blob) in files.committed.items():
        tick()
        found, pointer = ("", "") if name in hidden else _read(folder / name, blob)
        if found != f"{mode} {blob}":
            differing.append(name)
        elif pointer:
            pointers.append(name)
    added = sorted(files.local)
    if not differing and not added:
        return Changes(pointers=tuple(sorted(pointers)), secret=files.secret)
    with scratch_of(folder, commit) as scratch:
        changed = _without_converted(scratch, differing, files, line_ends)
        return Changes(
            names=tuple(sorted([*changed, *added])),
            patch=_patch(scratch, [*changed, *added], hidden) if changed or added else b"",
            pointers=tuple(sorted(pointers)),
            contents=_lfs_contents(scratch, changed, files),
            secret=files.secret,
        )


def _read(path: Path, blob: str) -> tuple[str, str]:
    """``MODE BLOB`` of a file as git would store it as it is, and whether it is an LFS pointer (non-empty: it is)."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            mode, data = "120000", os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            mode, data = "100755" if status.st_mode & stat.S_IXUSR else "100644", path.read_bytes()
        else:
            return "", ""
    except (FileNotFoundError, NotADirectoryError):
        return "", ""
    digest = hashlib.new("sha1" if len(blob) == 40 else "sha256", b"blob %d\0" % len(data))
    digest.update(data)
    return f"{mode} {digest.hexdigest()}", "pointer" if _is_pointer(data) else ""


def _is_pointer(data: bytes) -> bool:
    return len(data) < _POINTER_SIZE and data.startswith(_POINTER)


def _without_converted(scratch: Scratch, names: Sequence[str], files: CheckoutFiles, line_ends: str) -> list[str]:
    """`names` without those that are just what git writes for this commit, when it converts line ends or encodings."""
    converts = line_ends or any(name.rpartition("/")[2] == ".gitattributes" for name in files.committed)
    if not names or not converts:
        return list(names)
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-") as fresh:
        words = ("checkout-index", "-z", "--stdin", f"--prefix={fresh}/")
        scratch.git(*words, stdin=for_git(names), line_ends=line_ends)
        return [name for name in names if not _same(Path(fresh, name), scratch.folder / name)]


def _same(one: Path, other: Path) -> bool:
    try:
        if stat.S_IMODE(one.lstat().st_mode) & stat.S_IXUSR != stat.S_IMODE(other.lstat().st_mode) & stat.S_IXUSR:
            return False
        return not one.is_symlink() and not other.is_symlink() and one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _patch(scratch: Scratch, names: Sequence[str], hidden: frozenset[str]) -> bytes:
    gone = [name for name in names if name in hidden or not _is_there(scratch.folder / name)]
    scratch.git("update-index", "-z", "--force-remove", "--stdin", stdin=for_git(gone))
    there = sorted(set(names) - set(gone))
    scratch.git("update-index", "-z", "--add", "--replace", "--stdin", stdin=for_git(there))
    words = ["diff", "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"]
    return scratch.git(*words, "--no-renames", "--ignore-submodules=dirty", "HEAD")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _lfs_contents(scratch: Scratch, names: Sequence[str], files: CheckoutFiles) -> tuple[str, ...]:
    """Those of the changed files `names` that the commit has as LFS pointers."""
    tracked = sorted(name for name in names if name in files.committed and _is_there(scratch.folder / name))
    if not any(name.rpartition("/")[2] == ".gitattributes" for name in files.committed):
        return ()
    return tuple(name for name in tracked if _is_pointer(scratch.git("cat-file", "blob", files.committed[name][1])))
