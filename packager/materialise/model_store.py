"""The model store of this machine: every model file once, named by its sha256, read-only, shared by all installs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from ..capsule import Model
from ..errors import BadInput, Cancelled, CapsuleError
from ..hashing import hash_files
from ..progress import Progress, Report, silent
from .interface import ModelSource

#: Of every file in a store, in seconds since 1970, the earliest that a zip can say: what is made from them is the same
#: wherever and whenever they came.
STORED_TIME = 315_532_800

_WAIT = 0.5  # seconds between two looks at whether another process has ended
_HEX = frozenset("0123456789abcdef")


class ModelStore:
    """A folder of model files by content: ``models/sha256/ab/abcd…``, with a note of each file's state beside it.

    The note says which file state was hashed; a file that was touched since is hashed again before it is used.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or user_data_path("comfy-capsule", appauthor=False) / "models"

    def path(self, model: Model) -> Path:
        """Where the model's bytes lie, or would lie. Raises BadInput ``capsule-unsafe-name``."""
        if len(model.sha256) != 64 or not _HEX.issuperset(model.sha256):
            message = f"The lock gives the model {model.name!r} the sha256 {model.sha256!r}, which is none."
            raise BadInput("capsule-unsafe-name", message, "Export the capsule again.")
        return self.root / stored_name(model.sha256)

    def find(self, model: Model, report: Report = silent) -> Path | None:
        """The model's file when it is here and whole; a damaged one is removed.

        Raises:
            CapsuleError: ``file-unreadable`` and its like, see `hash_files`; nothing is removed then.
        """
        path = self.path(model)
        if not path.is_file():
            return None
        if path.stat().st_size == model.size and _note(path).exists() and _note(path).read_text() == _state(path):
            return path
        if path.stat().st_size == model.size and _digest(path, report) == model.sha256:
            _keep(path)
            return path
        path.unlink()
        return None

    def check(self, model: Model, report: Report = silent) -> Literal["here", "missing", "damaged"]:
        """What a reading of the model's whole file says; nothing is changed."""
        path = self.path(model)
        if not path.is_file():
            return "missing"
        whole = path.stat().st_size == model.size and _digest(path, report) == model.sha256
        return "here" if whole else "damaged"

    def obtain(self, model: Model, sources: Sequence[ModelSource], report: Report) -> Path:
        """The model's file in the store, brought from the first of `sources` that gives its exact bytes.

        Raises:
            CapsuleError: ``model-missing``, saying what each source answered.
        """
        path = self.path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, model, report):
            found = self.find(model, report)
            if found is not None:
                return found
            refused = []
            for source in sources:
                try:
                    if self._bring(model, source, report):
                        return path
                except Cancelled:
                    raise
                except CapsuleError as error:
                    refused.append(error.message)
            raise CapsuleError(
                "model-missing",
                f"The model {model.folder}/{model.name} ({model.size:,} bytes, sha256 {model.sha256[:12]}…) "
                f"cannot be had: {' '.join(refused) or 'no source of it is known.'}",
                "Put the file into a folder and name that with --models-from DIR.",
            )

    def _bring(self, model: Model, source: ModelSource, report: Report) -> bool:
        path = self.path(model)
        part = path.with_name(f".{path.name}.part")
        with _Part(part, model, report) as sink:
            if not source.give(model, sink):
                return False
            if sink.offset != model.size or sink.digest != model.sha256:
                message = f"What was found is not it ({sink.offset:,} bytes, sha256 {sink.digest[:12]}…)."
                sink.restart()
                raise CapsuleError("model-differs", message)
        os.replace(part, path)
        _keep(path)
        return True


def stored_name(sha256: str) -> str:
    """The place of a file in a store, from the store's folder on."""
    return f"sha256/{sha256[:2]}/{sha256}"


@contextmanager
def _locked(path: Path, model: Model, report: Report) -> Iterator[None]:
    """One process at a time brings a file; whoever waits says so, and hears a cancellation."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=_WAIT)
            break
        report(Progress(phase="models", item=f"{model.name}, which another process fetches"))
    try:
        yield
    finally:
        lock.release()


def link_or_copy(source: Path, target: Path) -> None:
    """Put the store's file at `target` without taking disk space where the file system can: as a clone or hard link.

    It is read-only there too, and has the same time.
    """
    if _clone(source, target):
        shutil.copystat(source, target)
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            raise
        shutil.copy2(source, target)


def _clone(source: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    with source.open("rb") as origin, target.open("xb") as made:
        try:
            fcntl.ioctl(made.fileno(), 0x40049409, origin.fileno())  # FICLONE, linux/fs.h
            return True
        except OSError:
            pass
    target.unlink()
    return False


class _Part:
    """The temporary file that a model arrives in: hashed while it is written, kept for the next attempt."""

    def __init__(self, path: Path, model: Model, report: Report) -> None:
        self._path, self._model, self._report = path, model, report
        self._hash = hashlib.sha256()
        self.offset = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("a+b")
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            self._hash.update(chunk)
            self.offset += len(chunk)
            self._tell()
        if self.offset > self._model.size:
            self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self.offset == 0:
            self._path.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def restart(self) -> None:
        self._file.truncate(0)
        self._hash = hashlib.sha256()
        self.offset = 0

    def write(self, data: bytes) -> None:
        if self.offset + len(data) > self._model.size:
            self.restart()
            raise CapsuleError("model-differs", f"It is larger than {self._model.size:,} bytes.")
        self._file.write(data)
        self._hash.update(data)
        self.offset += len(data)
        self._tell()

    def _tell(self) -> None:
        total = self._model.size
        self._report(Progress(phase="models", item=self._model.name, done=self.offset, total=total, unit="bytes"))


def _digest(path: Path, report: Report) -> str:
    return hash_files([path], report, phase="models")[path].need()


def _keep(path: Path) -> None:
    """Note the state of a file whose bytes are known."""
    os.chmod(path, 0o444)
    os.utime(path, (STORED_TIME, STORED_TIME))
    _note(path).write_text(_state(path))


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _state(path: Path) -> str:
    status = path.stat()
    return json.dumps([status.st_size, status.st_mtime_ns, status.st_ino])
