"""The sha256 of many files, each read once for as long as its path, size, modification time and inode stay the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...cache import Cache
from ...capsule import sha256_file

#: Size in bytes, modification time in ns, inode.
Status = tuple[int, int, int]

_KIND = "sha256-installed"


def sha256_files(files: Mapping[str, Status], cache: Cache) -> dict[str, str]:
    """``{path: sha256}`` (hex) of regular `files`; empty for one that cannot be read."""
    keys = {path: "|".join(map(str, (*status, path))) for path, status in files.items()}
    keys = {path: key.encode("utf-8", "backslashreplace").decode() for path, key in keys.items()}
    known = cache.get(_KIND, keys.values())
    found = {path: known[key] for path, key in keys.items() if key in known}
    wanted = [path for path in files if path not in found]
    with ThreadPoolExecutor(os.cpu_count()) as executor:  # hashing lets other threads run
        fresh = dict(zip(wanted, executor.map(_sha256, wanted, chunksize=64), strict=True))
    cache.put(_KIND, {keys[path]: digest for path, digest in fresh.items() if digest})
    return {**found, **fresh}


def _sha256(path: str) -> str:
    try:
        return sha256_file(Path(path))
    except OSError:
        return ""
