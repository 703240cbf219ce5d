"""One site-packages, read once: an unchanged one is known by its files' places, sizes, times and inodes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ...cache import Cache
from ...hashing import is_settled
from .check import inspect_site
from .contents import Contents, Places

_KIND = "site-packages-2"  # the number goes up when what is kept, or how it is found, changes


class _Kept(BaseModel):
    outside: tuple[str, ...]  # files beyond the folder that the answer depends on
    seen: str  # their state
    contents: Contents


def read_contents(site: Path, cache: Cache) -> Contents:
    """What the folder `site` holds. Without a change since the last time it costs one look at each file."""
    if not site.is_dir():
        return Contents()
    contents = _read(site, cache)
    if site.name == "dist-packages":  # of the operating system, whose own tools know what lies there
        return contents.model_copy(update={"added": {}, "broken": (), "odd": {}})
    return contents


def _read(site: Path, cache: Cache) -> Contents:
    begun = time.time_ns()
    key, newest = fingerprint(site)
    known = cache.get(_KIND, [key])
    with contextlib.suppress(ValidationError, KeyError):  # written by another version of this program
        kept = _Kept.model_validate_json(known[key])
        if kept.seen == _state(kept.outside):
            return kept.contents
    contents, outside = inspect_site(Places(site), cache)
    kept = _Kept(outside=outside, seen=_state(outside), contents=contents)
    if is_settled(newest, begun) and fingerprint(site)[0] == key:  # nothing moved under our eyes, nor could unseen
        cache.put(_KIND, {key: kept.model_dump_json()})
    return contents


def fingerprint(folder: Path) -> tuple[str, int]:
    """The digest of path, size, modification time, inode and mode of each file under `folder`; byte code left out.

    With it comes the newest of these times, in ns.
    """
    digest, newest = hashlib.sha256(), 0
    waiting = [str(folder)]
    while waiting:
        base = waiting.pop()
        rows, folders = [], []
        try:
            with os.scandir(base) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != "__pycache__":
                            folders.append(entry.path)
                    else:
                        rows.append((entry.name, *_status(entry)))
        except OSError as error:
            rows.append((error.strerror or "", 0, 0, 0, 0))
        newest = max(newest, *(row[2] for row in rows)) if rows else newest
        digest.update(repr((base, sorted(rows))).encode("utf-8", "surrogateescape"))
        waiting.extend(sorted(folders))
    return digest.hexdigest(), newest


def _status(entry: os.DirEntry[str] | Path) -> tuple[int, int, int, int]:
    try:
        status = entry.stat()
    except OSError:
        return (-1, 0, 0, 0)  # a link to nowhere
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode)


def _state(paths: Iterable[str]) -> str:
    return hashlib.sha256(repr([(path, *_status(Path(path))) for path in paths]).encode()).hexdigest()
