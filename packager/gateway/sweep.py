"""Files that a ComfyUI of ours has written and nobody needs there any more.

For each picture its nodes list the folder they write to, to find the next number (``folder_paths.py``, 0.30.0,
``get_save_image_path``): among two thousand files a small run takes twice as long, among many more it takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from .interface import OutputStore
from .outputs import Reference
from .supervise import Backend

_NUMBERED = re.compile(r"(?P<stem>.*)_(?P<number>\d+)[_.-][^/]*", re.DOTALL)
_AT_ONCE = 16  # files removed in one go
_REMEMBERED = 4096
_FOLDERS = frozenset({"output", "temp"})


class Sweep:
    """Removes the files of runs that have ended, but for the last number of each name: so no number comes again.

    What a number stood for is remembered: a run whose nodes ComfyUI had cached names the file of an earlier one.
    """

    def __init__(self, backend: Backend, outputs: OutputStore) -> None:
        self._backend, self._outputs = backend, outputs
        self._last: dict[tuple[str, str, str], tuple[int, list[Reference]]] = {}  # by folder and name
        self._going: list[Reference] = []
        self._kept: OrderedDict[Reference, tuple[str, int]] = OrderedDict()

    def restarted(self) -> None:
        """ComfyUI has come up anew, with empty folders."""
        self._last.clear()
        self._going.clear()
        self._kept.clear()

    def remember(self, reference: Reference, kept: tuple[str, int]) -> None:
        """The bytes of `reference` are in the store, by this sha256 and size."""
        self._kept[reference] = kept
        self._kept.move_to_end(reference)
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    def recall(self, reference: Reference) -> tuple[str, int] | None:
        """Sha256 and size of what a file held that is gone; None when that is not known."""
        return self._kept.get(reference)

    def ended(self, references: Iterable[Reference]) -> None:
        """A run that named these has ended, and what is wanted of them has been copied. Needs the event loop."""
        for reference in references:
            if reference.type in _FOLDERS and (found := _NUMBERED.fullmatch(reference.filename)):
                self._supersede(reference, found["stem"], int(found["number"]))
        if len(self._going) >= _AT_ONCE:
            going, self._going = self._going, []
            folders = {type: self._backend.folder(type) for type in _FOLDERS}
            asyncio.get_running_loop().run_in_executor(None, _remove, going, folders, self._outputs)

    def _supersede(self, reference: Reference, stem: str, number: int) -> None:
        key = (reference.type, reference.subfolder, stem)
        last, files = self._last.get(key, (-1, []))
        if number > last:
            self._going += files
            self._last[key] = (number, [reference])
        elif number < last:
            self._going.append(reference)
        elif reference not in files:
            files.append(reference)


def _remove(files: Iterable[Reference], folders: Mapping[str, Path | None], outputs: OutputStore) -> None:
    """Remove `files` from their types' `folders`, which are resolved; what is outside is left alone."""
    for file in files:
        if (folder := folders[file.type]) is None:
            continue
        path = folder / file.subfolder / file.filename
        with contextlib.suppress(OSError):  # one that stays costs time, no more
            if path.resolve().is_relative_to(folder):
                outputs.use_up(path)
