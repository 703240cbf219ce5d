"""Files that a ComfyUI of ours has written and nobody needs there any more.

For each picture its nodes list the folder they write to, to find the next number (``folder_paths.py``, 0.30.0,
``get_save_image_path``): among two thousand files a small run takes twice as long, among many more it takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

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

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._last: dict[tuple[Path, str], tuple[int, list[Path]]] = {}
        self._going: list[Path] = []
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

    async def ended(self, references: Iterable[Reference]) -> None:
        """A run that named these has ended, and what is wanted of them has been copied."""
        for reference in references:
            self._supersede(reference)
        if len(self._going) >= _AT_ONCE:
            going, self._going = self._going, []
            await asyncio.to_thread(_remove, going)

    def _supersede(self, reference: Reference) -> None:
        folder = self._backend.folder(reference.type) if reference.type in _FOLDERS else None
        if folder is None or (found := _NUMBERED.fullmatch(reference.filename)) is None:
            return
        path = (folder / reference.subfolder / reference.filename).resolve()
        if not path.is_relative_to(folder):
            return
        key, number = (path.parent, found["stem"]), int(found["number"])
        last, paths = self._last.get(key, (-1, []))
        if number > last:
            self._going += paths
            self._last[key] = (number, [path])
        elif number < last:
            self._going.append(path)
        elif path not in paths:
            paths.append(path)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # one that stays costs time, no more
            path.unlink()
