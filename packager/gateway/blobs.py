"""The `OutputStore` in a local folder: bytes by their sha256, each written whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from pathlib import Path

from .problems import Problem

_CHUNK = 1024 * 1024


class LocalOutputs:
    """``FOLDER/ab/abcd…``; equal bytes are kept once."""

    def __init__(self, folder: Path, instance: str = "") -> None:
        """`instance` tells this gateway from the others that keep theirs in the same folder."""
        self._folder = folder
        self._incoming = folder / f"incoming-{instance}".rstrip("-")
        self._incoming.mkdir(parents=True, exist_ok=True)
        for number in range(256):  # now, for nobody waits for it
            (folder / f"{number:02x}").mkdir(exist_ok=True)
        for left in self._incoming.iterdir():  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        self._spare: deque[Path] = deque()  # empty files, ready to be written
        self._keeping = threading.Lock()  # nothing is removed between being found there and being counted on

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    async def local(self, sha256: str) -> Path | None:
        path = self.path(sha256)
        return path if path.is_file() else None

    async def link(self, sha256: str, type: str, disposition: str) -> str:
        return ""

    def expect(self) -> None:
        """A new file takes ten times as long as writing into one that is there: so one is there."""
        if not self._spare:
            spare = self._incoming / secrets.token_hex(16)
            with contextlib.suppress(OSError):  # a full disk is told of when there is something to write
                spare.touch()
                self._spare.append(spare)

    async def put_stream(self, chunks: AsyncIterator[bytes], *, limit: int = 0) -> tuple[str, int]:
        temporary = self._temporary()
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if limit and size > limit:
                        raise Problem("body-too-large", f"More than {limit} bytes were sent.", "Send a smaller file.")
                    digest.update(chunk)
                    if size > _CHUNK:  # a small file is not worth the way to another thread
                        await asyncio.to_thread(file.write, chunk)
                    else:
                        file.write(chunk)
            self._keep(temporary, digest.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    async def put_file(self, path: Path) -> tuple[str, int]:
        if path.stat().st_size <= _CHUNK:
            return self._write([path.read_bytes()])
        return await asyncio.to_thread(lambda: self._write(_chunks(path)))

    async def put_bytes(self, data: bytes) -> tuple[str, int]:
        if len(data) <= _CHUNK:
            return self._write([data])
        return await asyncio.to_thread(self._write, [data])

    def _write(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Copied, never linked: a node that writes over its own file must not change what was kept."""
        temporary = self._temporary()
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            self._keep(temporary, digest.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _temporary(self) -> Path:
        try:
            return self._spare.pop()
        except IndexError:
            return self._incoming / secrets.token_hex(16)

    def _keep(self, temporary: Path, sha256: str) -> None:
        kept = self.path(sha256)
        with self._keeping:
            try:
                os.utime(kept)  # kept anew, see `remove_others`
                return
            except FileNotFoundError:
                pass
            os.replace(temporary, kept)

    async def size(self) -> int:
        return await asyncio.to_thread(lambda: sum(each.stat().st_size for each in self._kept()))

    async def remove_others(self, wanted: Collection[str], before: float) -> int:
        def work() -> int:
            removed = 0
            for path in self._kept():
                if path.name in wanted:
                    continue
                with self._keeping:
                    status = path.stat()
                    if status.st_mtime < before:
                        path.unlink()
                        removed += status.st_size
            return removed

        return await asyncio.to_thread(work)

    def _kept(self) -> Iterator[Path]:
        return (each for folder in self._folder.iterdir() if len(folder.name) == 2 for each in folder.iterdir())


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
