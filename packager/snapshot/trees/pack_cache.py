"""Reading a pack that did not change since it was read last: its tree is known by the times of all its files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ...cache import Cache
from ...progress import Tick
from .tree import ReadTree, read_tree

# With the version of what is kept: another reading gives another kind.
_KIND = "pack-4"
_MOST = 256 << 10  # carried bytes
_FRESH = 2.0  # seconds; a file that changed just now may change again within the resolution of its times
# Parts at the top of a git folder that say nothing of its state: objects are named by their content.
_TIMELESS = frozenset({"objects", "logs", "hooks"})


def known_tree(folder: Path, subject: str, entry: str, cache: Cache, tick: Tick) -> ReadTree:
    """What `read_tree` gives, out of `cache` when no file of `folder` changed since.

    A tree that carries much, or has a finding that blocks (perhaps only today's), is read each time.
    """
    state = _state(folder)
    key = f"{entry} {state}"
    if state and (answer := cache.get(_KIND, [key])):
        return _parsed(answer[key])
    read = read_tree(folder, subject, entry, tick=tick)
    small = sum(map(len, read.files.values())) <= _MOST
    if state and small and not any(item.blocks for item in read.findings) and state == _state(folder):
        cache.put(_KIND, {key: _written(read)})
    return read


def _written(read: ReadTree) -> str:
    files = {name: base64.b64encode(data).decode() for name, data in read.files.items()}
    return json.dumps({**read.model_dump(mode="json", exclude={"files"}), "files": files})


def _parsed(text: str) -> ReadTree:
    said = json.loads(text)
    files = {name: base64.b64decode(data) for name, data in said.pop("files").items()}
    return ReadTree.model_validate({**said, "files": files})


def _state(folder: Path) -> str:
    """A digest of every file's name, size, times and place on the disk; empty when that is not enough to know.

    Names of the user's own git settings come in too, for they decide on line ends.
    """
    if (folder / ".git").is_file():
        return ""  # a worktree: what its HEAD is stands elsewhere
    newest, lines = 0, [str(folder), *_settings()]
    for path, status in _stats(folder):
        newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
        facts = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        lines.append(f"{path}\0{facts}")
    if newest / 1e9 > time.time() - _FRESH:
        return ""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _stats(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry under `folder`, links not followed, in a fixed order."""
    waiting = [(str(folder), str(folder / ".git"))]
    while waiting:
        here, git = waiting.pop()
        try:
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            yield entry.path, status
            if entry.is_dir(follow_symlinks=False) and not (entry.name in _TIMELESS and _is_git_folder(here, git)):
                waiting.append((entry.path, git))


def _is_git_folder(here: str, git: str) -> bool:
    """The top of the git folder `git`, or of a submodule's in it; a branch may be called ``hooks/x``."""
    return here == git or (here.startswith(git + os.sep) and os.path.isfile(os.path.join(here, "config")))


def _settings() -> Iterator[str]:
    """The times of the user's and the system's git settings."""
    home = Path.home()
    for place in (home / ".gitconfig", home / ".config/git/config", Path("/etc/gitconfig")):
        if place.is_file():
            yield f"{place}\0{place.stat().st_mtime_ns}"
