"""The `OutputStore` in a local folder: bytes by their sha256, each written whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from pathlib import Path

from .problems import Problem

if sys.platform == "linux":
    import fcntl

_CHUNK = 1024 * 1024
_SPARE = 64  # empty files that are kept ready, at most


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
        self._made: tuple[int, ...] = ()  # of which kind a file is that is made here
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
                self._made = _kind(spare.stat())
                self._spare.append(spare)

    def use_up(self, path: Path) -> None:
        """Emptied, it is the next one that is written.

        If each run made a file and removed one, each would take longer than the one before where ext4 has no journal:
        there a removed file's number is given to no other for a minute, and all of these are passed over whenever a
        file is made (``fs/ext4/ialloc.c``, ``recently_deleted``). After some thousands that takes half a millisecond.
        """
        if len(self._spare) < _SPARE and _kind(path.lstat()) == self._made:
            spare = self._incoming / secrets.token_hex(16)
            with contextlib.suppress(OSError):  # it is on another disk
                path.rename(spare)
                if _emptied(spare):
                    self._spare.append(spare)
                else:
                    spare.unlink()
                return
        path.unlink()

    async def put_stream(self, chunks: AsyncIterator[bytes], *, limit: int = 0) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        with self._temporary() as temporary:
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
        return digest.hexdigest(), size

    async def put_file(self, path: Path) -> tuple[str, int]:
        if path.stat().st_size <= _CHUNK:
            return self._write_small(path.read_bytes())
        return await asyncio.to_thread(lambda: self._write(_chunks(path)))

    async def put_bytes(self, data: bytes) -> tuple[str, int]:
        if len(data) <= _CHUNK:
            return self._write_small(data)
        return await asyncio.to_thread(self._write, [data])

    def _write_small(self, data: bytes) -> tuple[str, int]:
        """What is kept already is not written again."""
        sha256 = hashlib.sha256(data).hexdigest()
        with self._keeping:
            if self._kept_anew(sha256):
                return sha256, len(data)
        with self._temporary() as temporary:
            temporary.write_bytes(data)
            self._keep(temporary, sha256)
        return sha256, len(data)

    def _write(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Copied, never linked: a node that writes over its own file must not change what was kept."""
        digest, size = hashlib.sha256(), 0
        with self._temporary() as temporary:
            with temporary.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            self._keep(temporary, digest.hexdigest())
        return digest.hexdigest(), size

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Where to write; what is not kept of it in this block is gone afterwards."""
        try:
            temporary = self._spare.pop()
        except IndexError:
            temporary = self._incoming / secrets.token_hex(16)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _keep(self, temporary: Path, sha256: str) -> None:
        with self._keeping:
            if not self._kept_anew(sha256):
                os.replace(temporary, self.path(sha256))

    def _kept_anew(self, sha256: str) -> bool:
        """Whether it is there; its time, by which `remove_others` goes, is now."""
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return False
        return True

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


def _kind(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid


def _emptied(spare: Path) -> bool:
    """Whether `spare` is empty now; only where nobody can read or write what will be in it by another way.

    A lease to write is given for a file that nobody else has open or mapped (fcntl(2), ``F_SETLEASE``).
    """
    if sys.platform != "linux":
        return False
    try:
        file = os.open(spare, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        if os.fstat(file).st_nlink > 1:
            return False
        os.ftruncate(file, 0)
    except OSError:
        return False
    finally:
        os.close(file)  # and the lease ends
    return True


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
