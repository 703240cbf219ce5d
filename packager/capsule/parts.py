"""A large capsule in parts: ``NAME.capsule.zip`` with everything but what is vendored, which lies beside it.

``NAME.capsule.zip.001`` and so on are the vendored files one after another, sorted by name, cut after every so many
bytes. The zip's manifest names them all, so a capsule has one digest however it is cut; how it is, says `LAYOUT`, which
is in no manifest: where it lies, no file has the digest that it should.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .vendored import Piece, Vendored

#: The entry that says how large the parts are; 0 where there are none, in the copy of the capsule that is in an image.
LAYOUT = "PARTS.json"

SMALLEST_PART = 1 << 16  # bytes
_MOST_PARTS = 9999


def layout_bytes(size: int) -> bytes:
    """The entry `LAYOUT`, for parts of `size` bytes."""
    return (json.dumps({"size": size}) + "\n").encode()


def read_layout(path: Path, data: bytes, listed: Mapping[str, tuple[int, str]]) -> dict[str, Vendored]:
    """The files of the capsule `path` that are in its parts.

    Args:
        data: of the entry `LAYOUT`.
        listed: ``{entry: (size, sha256)}`` of those files.

    Raises:
        ValueError: for what no capsule of ours says.
    """
    said = json.loads(data)
    size = said.get("size") if isinstance(said, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or (size and size < SMALLEST_PART):
        raise ValueError("odd size of parts")
    if size == 0:
        return {name: Vendored(length, sha256, None) for name, (length, sha256) in listed.items()}
    if sum(length for length, _ in listed.values()) > _MOST_PARTS * size:
        raise ValueError("too many parts")
    found, at = {}, 0
    for name, (length, sha256) in sorted(listed.items()):
        found[name] = Vendored(length, sha256, tuple(_pieces(path, size, at, length)))
        at += length
    return found


def _pieces(path: Path, size: int, at: int, length: int) -> Iterable[Piece]:
    while length:
        offset = at % size
        taken = min(length, size - offset)
        yield Piece(part_of(path, at // size + 1), offset, taken)
        at, length = at + taken, length - taken


def part_of(path: Path, number: int) -> Path:
    """The part `number`, the first is 1, of the capsule `path`."""
    return path.with_name(f"{path.name}.{number:03}")


class PartWriter:
    """Writes the parts under other names, until `finish`; `discard` leaves nothing of them."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._made: list[str] = []
        self._file: BinaryIO | None = None
        self._room = 0

    def write(self, data: bytes) -> None:
        """Put `data` after what was written before."""
        view = memoryview(data)
        while view:
            if not self._room:
                self._next()
            assert self._file is not None
            taken = self._file.write(view[: self._room])
            self._room -= taken
            view = view[taken:]

    def finish(self) -> None:
        """Give the parts their names, in place of what had them."""
        self._close()
        for number, temporary in enumerate(self._made, 1):
            os.chmod(temporary, 0o644)
            os.replace(temporary, part_of(self._path, number))

    def discard(self) -> None:
        """Delete what was written."""
        self._close()
        for temporary in self._made:
            with suppress(FileNotFoundError):
                os.unlink(temporary)

    def _next(self) -> None:
        self._close()
        handle, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        self._made.append(temporary)
        self._file, self._room = os.fdopen(handle, "wb"), self._size

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
