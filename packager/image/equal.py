"""The names, modes and times in a build context: equal where its content is, and never where it differs.

BuildKit keeps the context of the last build from a folder of the same name and is sent only what has changed since, by
size and time (https://github.com/moby/buildkit/issues/4817). With one date for everything a file of other bytes and the
same size is not sent; and a folder that is there already keeps no date, but has the time of what changed in it. So

- what the Dockerfile copies lies in a folder that is named by its digest: such a folder is new, or all of it is equal;
- every other file says by the fraction of its second what it holds. What is copied into an image has whole seconds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ..capsule import sha256_bytes, sha256_file
from .plan import EPOCH

#: The folders of a context that the Dockerfile copies as they are, where there is something in them.
COPIED = ("capsule", "files", "launcher", "links", "python", "sources/comfyui", "sources/packs")

_SECOND = 10**9


def name_by_content(folder: Path, stored: Mapping[int, str]) -> dict[str, str]:
    """Move what is in each of `COPIED` into a folder below it that is named by its digest.

    Args:
        stored: the sha256 of files that are the store's, by their inode.

    Returns:
        Where each is now, from `folder` on: ``{"capsule": "capsule/3f2a…"}``.
    """
    named = {}
    for name in COPIED:
        whole = folder / name
        if whole.is_dir():
            said = sorted(f"{_digest(path, stored)} {path.relative_to(whole)}\n" for path in whole.rglob("*"))
            named[name] = f"{name}/{sha256_bytes(''.join(said).encode('utf-8', 'surrogateescape'))[:32]}"
            moved = whole.rename(folder / ".moved")
            (folder / named[name]).parent.mkdir()
            moved.rename(folder / named[name])
    return named


def make_equal(folder: Path, stored: Collection[int], named: Iterable[str]) -> int:
    """Give every file the same modes and times on every machine; returns the bytes in all.

    Args:
        stored: the inodes of what may be links into the store, which has done so.
        named: the folders that `name_by_content` has made.
    """
    inside = tuple(f"{folder / name}{os.sep}" for name in named)
    size = 0
    for root, folders, files in os.walk(folder, topdown=False):
        copied = f"{root}{os.sep}".startswith(inside)
        for name in files:
            path = Path(root, name)
            status = path.lstat()
            size += status.st_size
            if status.st_ino in stored:
                continue
            if stat.S_ISREG(status.st_mode):
                path.chmod(0o755 if status.st_mode & stat.S_IXUSR else 0o644)
            fraction = 0 if copied else int(_digest(path, {}), 16) % _SECOND
            _date(path, fraction)
        for name in folders:
            if Path(root, name).is_symlink():
                _date(Path(root, name), 0)
        os.chmod(root, 0o755)
        _date(Path(root), 0)
    return size


def _date(path: Path, fraction: int) -> None:
    time = EPOCH * _SECOND + fraction
    os.utime(path, ns=(time, time), follow_symlinks=False)


def _digest(path: Path, stored: Mapping[int, str]) -> str:
    """In hexadecimal digits: of a file's bytes and whether it can be run, of a link's target; a folder's is 0."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return sha256_bytes(b"link " + os.fsencode(os.readlink(path)))
    if stat.S_ISDIR(status.st_mode):
        return "0"
    content = stored.get(status.st_ino) or sha256_file(path)
    return sha256_bytes(f"{content} {bool(status.st_mode & stat.S_IXUSR)}".encode())
