"""The sha256 of many files at once: a thread a core, the largest file first, counted in bytes, stopped at any moment.

Files are read, never mapped: a mapped file that another program truncates kills the process with SIGBUS, and this
process may be somebody's ComfyUI. One MiB at a time was the fastest of what was measured, on one core and on two.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import CapsuleError
from .progress import Progress, Report, silent

_CHUNK = 1 << 20
_TICK = 0.1  # seconds between two reports, which is how long a cancellation may wait to be heard
_GRACE = 0.3  # seconds that a stopped thread gets; one that hangs in a dead network disk is left behind
_CLOCK = 0.02  # seconds: above the tick of Linux's own file times (4 ms; 10 ms at 100 Hz)
_RACY = 2_000_000_000  # nanoseconds: the coarsest clock of a file system in use (FAT), as git counts it

# Opening a FIFO must not wait for its writer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class State(NamedTuple):
    """What a file's stat says of its content: while it stays, so do the bytes (`Hashed.settled` has the exception)."""

    size: int  # bytes
    mtime_ns: int
    inode: int
    device: int


class Hashed(NamedTuple):
    """What became of one file: its digest (hex), or why there is none.

    `settled`: the file was at rest for two seconds when reading began. Only then does every later change show in its
    `state`: a file written twice within one tick of the file system's clock keeps its times.
    """

    sha256: str = ""
    state: State = State(0, 0, 0, 0)
    settled: bool = False
    error: CapsuleError | None = None

    def need(self) -> str:
        """The digest. Raises the `error` when there is none."""
        if self.error is not None:
            raise self.error
        return self.sha256


def is_settled(mtime_ns: int, begun_ns: int) -> bool:
    """Whether what was last written at `mtime_ns` was at rest for two seconds at `begun_ns` (both since 1970)."""
    return mtime_ns + _RACY < begun_ns


def state_of(path: Path | str) -> State:
    """The state of the regular file at `path`, links followed.

    Raises:
        CapsuleError: ``file-unreadable``; ``not-a-file`` for a folder, a FIFO, a device.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(path, error) from error
    return _state(status, path)


def hash_files(paths: Sequence[Path], report: Report = silent, *, phase: str = "hash") -> dict[Path, Hashed]:
    """Hash every one of `paths`, links followed; a file that cannot be is told in its `Hashed`, the others go on.

    Args:
        report: called in this thread, ten times a second; what it raises stops all the work within half a second.
    """
    work = _Work(paths)
    threads = [
        threading.Thread(target=work.run, name=f"hash-{number}", daemon=True)
        for number in range(min(_cores(), len(work.waiting)))
    ]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            report(work.progress(phase))
            work.changed.wait(_TICK)
        report(work.progress(phase).model_copy(update={"done": work.total}))
    finally:
        work.stop.set()
        end = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
    if work.failed is not None:
        raise work.failed
    return work.done


def printable(text: Path | str) -> str:
    """`text` with the bytes of a file's name that are no UTF-8 as ``\\udc80``: JSON and terminals cannot take them."""
    return str(text).encode(errors="backslashreplace").decode()


class _Stopped(Exception):
    """Nobody waits for this digest any more."""


class _Work:
    """The files that wait and those that are done, shared by the threads."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.done: dict[Path, Hashed] = {}
        self.stop = threading.Event()
        self.changed = threading.Event()  # set at the end, so that the caller need not sleep it out
        self.failed: BaseException | None = None
        self._lock = threading.Lock()
        self._now, self._hashed = "", 0
        sizes: dict[Path, int] = {}
        for path in dict.fromkeys(paths):
            try:
                sizes[path] = state_of(path).size
            except CapsuleError as error:
                self.done[path] = Hashed(error=error)
        # Taken from the end: the largest first, so that no core is left alone with a large file at the end.
        self.waiting = sorted(sizes, key=lambda path: (sizes[path], str(path)))
        self._running = min(_cores(), len(self.waiting))
        self.total = sum(sizes.values())

    def progress(self, phase: str) -> Progress:
        with self._lock:
            return Progress(
                phase=phase, item=self._now, done=min(self._hashed, self.total), total=self.total, unit="bytes"
            )

    def run(self) -> None:
        """What each thread does."""
        buffer = memoryview(bytearray(_CHUNK))
        try:
            while (path := self._take()) is not None:
                try:
                    hashed = self._hash(path, buffer)
                except CapsuleError as error:
                    hashed = Hashed(error=error)
                with self._lock:
                    self.done[path] = hashed
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - the end of the thread: the caller raises it
            self.failed = error
            self.stop.set()
        with self._lock:
            self._running -= 1
            if not self._running:
                self.changed.set()

    def _take(self) -> Path | None:
        with self._lock:
            if self.stop.is_set() or not self.waiting:
                return None
            path = self.waiting.pop()
            self._now = printable(path.name)
            return path

    def _hash(self, path: Path, buffer: memoryview) -> Hashed:
        """Once more when the file changed meanwhile. Raises CapsuleError ``file-changing``, and as `state_of`."""
        for _ in range(2):
            begun = time.time_ns()
            try:
                before, digest, read = self._read(path, buffer)
            except (OSError, ValueError) as error:
                raise _unreadable(path, error) from error
            if read == before.size and state_of(path) == before:
                return Hashed(digest, before, settled=is_settled(before.mtime_ns, begun))
            with self._lock:
                self._hashed -= read
        message = f"The file {printable(path)} was written to while it was read, twice."
        raise CapsuleError("file-changing", message, "Wait until what writes it, e.g. a download, is done.")

    def _read(self, path: Path, buffer: memoryview) -> tuple[State, str, int]:
        """The state before reading, the digest, and how many bytes were read: more than that state says at most once.

        A file that grows, perhaps faster than it can be read, is given up at the first byte too many.
        """
        state_of(path)  # opening a device can do something to it, so what is none of ours is refused before
        with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
            state = _state(os.fstat(file.fileno()), path)
            if abs(time.time_ns() - state.mtime_ns) < _CLOCK * 1e9:
                time.sleep(_CLOCK)  # else a write in this very tick would not show in the state
            digest, read = hashlib.sha256(), 0
            while read <= state.size and (count := file.readinto(buffer)):
                if self.stop.is_set():
                    raise _Stopped
                digest.update(buffer[:count])
                read += count
                with self._lock:
                    self._hashed += count
        return state, digest.hexdigest(), read


def _state(status: os.stat_result, path: Path | str) -> State:
    if not stat.S_ISREG(status.st_mode):
        message = (
            f"{printable(path)} is no regular file but {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}."
        )
        raise CapsuleError("not-a-file", message, "Put the file itself there.")
    return State(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def _unreadable(path: Path | str, error: Exception) -> CapsuleError:
    reason = getattr(error, "strerror", None) or str(error)
    message = f"The file {printable(path)} cannot be read: {reason}."
    return CapsuleError("file-unreadable", message, "Check that it is there and that you may read it.")


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
