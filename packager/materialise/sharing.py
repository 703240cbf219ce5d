"""What a new environment shares with uv's cache: blocks where the file system can, else large binaries as hard links.

Of an environment with torch these binaries are 1,000 files of 40,000, and 95 of 100 bytes. All else it has to itself:
people edit it, and an edit of a linked file would be one of the cache and of every other environment. Should somebody
edit a shared file all the same, the next install finds it: each is read again and held to its RECORD.
"""

from __future__ import annotations

import base64
import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name

from ..command import run
from ..digest_cache import sha256_files
from ..progress import Report
from ..uv import find_uv

_LARGE = 64 << 10  # bytes
_HEAD = 1 << 10


def link_mode(venv: Path) -> Literal["clone", "hardlink", "copy"]:
    """How uv shall put the files of its cache into `venv`."""
    if sys.platform == "darwin":
        return "clone"
    if not sys.platform.startswith("linux"):
        return "copy"
    import fcntl

    cache = Path(run([find_uv(), "cache", "dir"]).strip())
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache) as source, tempfile.TemporaryFile(dir=venv) as target:
        source.write(bytes(8192))
        source.flush()
        try:
            fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())  # FICLONE, linux/fs.h
        except OSError:
            return "hardlink"  # uv copies where the two are on different file systems
    return "clone"


def keep_apart(venv: Path) -> list[Path]:
    """Give `venv` files of its own instead of links, all but large binaries; returns these."""
    shared: list[Path] = []

    def own(folder: str) -> list[Path]:
        kept = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False) or (status := entry.stat()).st_nlink == 1:
                    continue
                if status.st_size >= _LARGE and _is_binary(entry.path):
                    kept.append(Path(entry.path))
                else:
                    _copy_over(entry.path)
        return kept

    # The system calls of several files at once; Python's own part of it is one core's.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for kept in threads.map(own, [folder for folder, _, _ in os.walk(venv)]):
            shared += kept
    return shared


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:
        return b"\0" in file.read(_HEAD)


def _copy_over(path: str) -> None:
    beside = f"{path}.own"
    shutil.copy2(path, beside)
    os.replace(beside, path)


def damaged(site: Path, shared: Collection[Path], report: Report) -> list[str]:
    """The distributions in `site` of which a file of `shared` is not as their RECORD says, by their names."""
    digests = sha256_files(list(shared), report, phase="python")
    found = {name for name, path, said in _recorded(site) if path in digests and digests[path].need() != said}
    return sorted(found)


def _recorded(site: Path) -> Iterator[tuple[str, Path, str]]:
    """``(distribution, file, sha256)`` of the lines of each RECORD that have one, https://peps.python.org/pep-0376/."""
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines):
                if len(row) > 1 and row[1].startswith("sha256="):
                    digest = base64.urlsafe_b64decode(row[1].removeprefix("sha256=") + "=").hex()
                    name = canonicalize_name(record.parent.name.partition("-")[0])
                    yield name, Path(os.path.normpath(site / row[0])), digest
