"""The journal of a restore into an existing ComfyUI: what is renamed, in which order; it ends whole or not at all.

Where a restore stands is the name of one folder in ``.comfy-capsule`` of the install, and a rename changes that:

``building``   the new is made; nothing of the install has changed; a leftover of it is deleted
``restoring``  the journal lies in it, and its steps are being done; resume and rollback both lead to a whole state
``restore``    all was done and proved; what was replaced lies in it, until the next restore
``gone``       to be deleted

Every step is a rename within one file system, or makes an empty folder. Which of them are done the disk tells.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ...capsule import RESTORES
from ...errors import BadInput, CapsuleError
from ...materialise import remove_tree
from ...progress import Progress, Report

State = Literal["none", "building", "open", "applied"]

#: In a transaction's folder: what was built, laid out as the install is, and what was replaced.
NEW, OLD = "ComfyUI", "old"

_JOURNAL = "journal.jsonl"


class Step(BaseModel):
    """One step: what is at `source` is renamed to `target`; without a source an empty folder is made there.

    Both are names with ``/`` whose first part says where they begin: ``here``, the install; ``new``, what was built;
    ``old``, what was replaced.
    """

    model_config = ConfigDict(frozen=True)

    target: str
    source: str = ""


class Header(BaseModel):
    """The journal's first line.

    Attributes:
        capsule: its id; mode: how it was restored.
        trees: the digest of each source tree that is put there, by its place; ComfyUI's own by ``""``.
        steps: all, in order.
    """

    model_config = ConfigDict(frozen=True)

    capsule: str
    mode: str
    trees: dict[str, str]
    steps: tuple[Step, ...]


class Journal:
    """The restores into the ComfyUI at `root`. Its methods are for whoever holds the lock of `root`.

    Raises:
        BadInput: ``place-elsewhere`` when a checkout has put a link where it keeps them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / RESTORES
        if self.home.is_symlink():
            message = f"{self.home} is a link, and is not followed."
            raise BadInput("place-elsewhere", message, "Remove the link.")
        self._open, self._kept = self.home / "restoring", self.home / "restore"

    def state(self) -> State:
        """``open`` when one was interrupted, ``building`` when it had changed nothing yet, ``applied`` when the last
        one can be undone."""
        if self._open.is_dir():
            return "open"
        if (self.home / "building").is_dir():
            return "building"
        return "applied" if (self._kept / _JOURNAL).is_file() else "none"

    def backup_size(self) -> int:
        """How many bytes the files have that the last restore replaced."""
        return _size(self._kept / OLD)

    @contextmanager
    def building(self) -> Iterator[Path]:
        """An empty folder on the install's file system; if `begin` did not take it, it goes when the block ends."""
        folder = self.home / "building"
        try:
            self.clean()
            (folder / OLD).mkdir(parents=True)
            (self.home / ".gitignore").write_text("*\n")  # git sees none of it
            yield folder
        finally:
            with _uninterrupted():
                self.clean()

    def begin(self, header: Header) -> None:
        """What lies in ``building`` is whole: from here on the journal says what happens."""
        folder = self.home / "building"
        for step in header.steps:
            if step.target.startswith(f"{OLD}/"):
                self._path(step.target, folder).parent.mkdir(parents=True, exist_ok=True)
        _append(folder / _JOURNAL, header.model_dump(mode="json"))
        if hasattr(os, "sync"):
            os.sync()  # all that was built, before the first rename
        _rename(folder, self._open)

    def forward(self, report: Report) -> Header:
        """Do the steps that are not done.

        Raises:
            CapsuleError: ``target-changed`` when something stands where a step puts something, or is gone.
        """
        header = self.header()
        for number, step in enumerate(header.steps, 1):
            report(Progress(phase="apply", item=step.target, done=number, total=len(header.steps)))
            if not self._is_done(step):
                _append(self._open / _JOURNAL, {"step": number})
                self._do(step)
        return header

    def backward(self) -> Header:
        """Undo the steps that are done, the last one first, and end; Ctrl-C is not heard meanwhile.

        Nothing is written, so a full disk is no hindrance.

        Raises:
            CapsuleError: ``target-changed``; the journal stays open then.
        """
        with _uninterrupted():
            header = self.header()
            for step in reversed(header.steps):
                if self._is_done(step):
                    self._undo(step)
            _rename(self._open, self._free("gone"))
            self.clean()
        return header

    def commit(self) -> None:
        """All is done: what was replaced is the one backup now, and an earlier one goes."""
        with _uninterrupted():
            if self._kept.is_dir():
                _rename(self._kept, self._free("gone"))
            _rename(self._open, self._kept)
            self.clean()

    def reopen(self) -> None:
        """Take up the last restore, which was applied, to undo it.

        Raises:
            CapsuleError: ``target-changed``, before anything is, when what it put aside is gone or its place is taken.
        """
        gone: dict[Path, bool] = {}  # what the steps that are looked at so far will have changed
        for step in reversed(self.kept_header().steps):
            source, target = self._ends(step, self._kept)
            if step.source and not step.source.startswith("new/"):
                self._require(target, source, gone)
            gone |= {source: False, target: True}
        _rename(self._kept, self._open)

    def header(self, folder: Path | None = None) -> Header:
        """What the journal in `folder` says, or the open one. Raises BadInput ``journal-unreadable``."""
        folder = folder or self._open
        try:
            with (folder / _JOURNAL).open("rb") as file:
                header = Header.model_validate_json(file.readline())
            if any({"", ".", ".."}.intersection(name.split("/")) for name in _names(header)):
                raise ValueError("a name leads out of the install")
            return header
        except (OSError, ValueError) as error:
            message = f"The journal {folder / _JOURNAL} cannot be read."
            cure = f"What was replaced lies in {folder / OLD}: put it back by hand."
            raise BadInput("journal-unreadable", message, cure) from error

    def kept_header(self) -> Header:
        """What the journal of the last restore says, which was applied. Raises BadInput ``journal-unreadable``."""
        return self.header(self._kept)

    def _path(self, name: str, folder: Path) -> Path:
        top, _, rest = name.partition("/")
        return {"here": self.root, "new": folder / NEW, "old": folder / OLD}[top] / rest

    def _ends(self, step: Step, folder: Path | None = None) -> tuple[Path, Path]:
        names = (step.source or step.target, step.target)
        source, target = (self._path(name, folder or self._open) for name in names)
        return source, target

    def _is_done(self, step: Step) -> bool:
        """What only this restore puts anywhere tells: the new is gone from where it was built, the old is there."""
        source, target = self._ends(step)
        return not os.path.lexists(source) if step.source.startswith("new/") else os.path.lexists(target)

    def _do(self, step: Step) -> None:
        source, target = self._ends(step)
        if step.source:
            self._move(source, target)
        else:
            target.mkdir()
            _settle(target.parent)

    def _undo(self, step: Step) -> None:
        source, target = self._ends(step)
        if not step.source:
            with suppress(OSError):  # somebody has put something into it
                target.rmdir()
        elif os.path.lexists(target) or not step.source.startswith("new/"):  # what was brought may be gone since
            self._move(target, source)

    def _move(self, source: Path, target: Path) -> None:
        self._require(source, target, {})
        _rename(source, target)

    def _require(self, source: Path, target: Path, gone: Mapping[Path, bool]) -> None:
        """Refuse a rename to a place that is taken, or of what is not there; `gone` knows better than the disk."""
        missing = gone.get(source, not os.path.lexists(source))
        if missing or not gone.get(target, not os.path.lexists(target)):
            told = f"{source} is gone" if missing else f"{target} stands in the way"
            raise CapsuleError(
                "target-changed",
                f"{told}: somebody else changed {self.root} meanwhile.",
                f"Put it right, then `comfy-capsule restore --resume {self.root}`, or --rollback.",
            )

    def _free(self, name: str) -> Path:
        """The path of the folder `name`, with nothing there."""
        if (self.home / name).is_dir():
            remove_tree(self.home / name)
        return self.home / name

    def clean(self) -> None:
        """Delete what nobody needs, and the folder itself when no restore is left in it; what cannot be, later."""
        for name in ("building", "gone"):
            with suppress(OSError):
                self._free(name)
        if self.home.is_dir() and {*os.listdir(self.home)} <= {".gitignore"}:
            remove_tree(self.home)


def _names(header: Header) -> list[str]:
    return [name for step in header.steps for name in (step.source, step.target) if name]


def _append(path: Path, line: object) -> None:
    """Add a line to a journal; it is on the disk when this returns."""
    with path.open("ab") as file:
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    os.rename(source, target)
    for folder in {source.parent, target.parent}:
        _settle(folder)


def _settle(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(folder: Path) -> int:
    walked = ((base, name) for base, _, names in os.walk(folder) for name in names)
    return sum(os.lstat(os.path.join(base, name)).st_size for base, name in walked)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C is heard when the block has ended, not in it: it puts right what a first one interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard and callable(before):
            before(signal.SIGINT, None)
