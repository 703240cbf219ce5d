"""The files that capsules carry (inputs, patches, bundles), each once and named by its sha256.

They stand beside git and not in it: a push shall not send gigabytes, and what is no longer wanted can go.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..capsule import sha256_bytes
from .models import ManifestEntry

_YOUNG = 3600.0  # seconds in which a file may belong to a version that another process is about to commit


class CarriedFiles:
    """A folder of files by content: ``ab/abcd…``. Safe with several processes, and after a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> None:
        """Keep `data`, whole or not at all."""
        path = self._path(sha256_bytes(data))
        with suppress(OSError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                os.utime(path)  # young again: a pruning leaves it alone until our commit is there
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # a version shall not outlive its files in a power cut
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def has(self, entry: ManifestEntry) -> bool:
        """Whether the file is here, by its size; `get` reads it."""
        try:
            return self._path(entry.sha256).stat().st_size == entry.size
        except OSError:
            return False

    def get(self, entry: ManifestEntry) -> bytes | None:
        """The file's bytes; None when it is not here, or damaged."""
        try:
            data = self._path(entry.sha256).read_bytes()
        except OSError:
            return None
        return data if len(data) == entry.size and sha256_bytes(data) == entry.sha256 else None

    def size(self) -> int:
        """Bytes of all of them."""
        return sum(path.stat().st_size for path in self._files())

    def drop(self, wanted: Collection[str], *, dry_run: bool) -> tuple[int, int]:
        """Remove those whose sha256 is not `wanted`, and what a killed export left; returns (files, bytes)."""
        before = time.time() - _YOUNG
        gone = size = 0
        for path in self._files():
            status = path.stat()
            if path.name in wanted or status.st_mtime > before:
                continue
            gone, size = gone + 1, size + status.st_size
            if not dry_run:
                path.unlink()
        return gone, size

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob("*/*") if path.is_file()] if self._folder.is_dir() else []

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256
