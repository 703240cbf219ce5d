"""Bytes of a sealed capsule that stay where they are until they are wanted: models may be larger than the memory.

They are ``vendor/git/COMMIT.bundle``, ``vendor/wheels/FILE`` and ``vendor/models/SHA256``. The manifest gives each a
size and a sha256, by which they are found and proved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import BadInput

VENDOR = "vendor/"

_CHUNK = 1 << 20  # bytes that are in memory at a time


class Piece(NamedTuple):
    """`length` bytes of the file `path`, from `offset` on."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True)
class Vendored:
    """One vendored file: what it is, and where its bytes lie.

    Attributes:
        size: in bytes.
        sha256: hex.
        pieces: in their order; None where this copy of the capsule was made without them.
    """

    size: int
    sha256: str
    pieces: tuple[Piece, ...] | None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a part of them at a time. Whoever takes them uses none before the last one came.

        Raises:
            BadInput: ``capsule-left-out`` where there are none; ``capsule-part-missing``; ``capsule-damaged`` after the
                last, when they are not those of `sha256`.
        """
        if self.pieces is None:
            message = "This copy of the capsule was made without its vendored files, as images hold it."
            raise BadInput("capsule-left-out", message, "Take the capsule itself.")
        digest = hashlib.sha256()
        for piece in self.pieces:
            left = piece.length
            try:
                with piece.path.open("rb") as file:
                    file.seek(piece.offset)
                    while left and (chunk := file.read(min(left, _CHUNK))):
                        digest.update(chunk)
                        left -= len(chunk)
                        yield chunk
            except FileNotFoundError as error:
                raise parts_missing([piece.path.name]) from error
        if digest.hexdigest() != self.sha256:
            places = ", ".join(sorted({piece.path.name for piece in self.pieces}))
            message = (
                f"{places} is damaged: it does not hold the file with the sha256 {self.sha256[:12]}… that it should."
            )
            raise BadInput("capsule-damaged", message, "Copy it again, or ask its author for a new one.")

    def write_to(self, path: Path) -> None:
        """Write the bytes to the new file `path`, whole or not at all. Raises as `chunks`."""
        try:
            with path.open("xb") as file:
                for chunk in self.chunks():
                    file.write(chunk)
        except BadInput:
            path.unlink()
            raise


def of_file(path: Path, size: int, sha256: str) -> Vendored:
    """The file `path` as one to vendor; that it has these bytes is proved when they are read."""
    return Vendored(size, sha256, (Piece(path, 0, size),))


def bundle_entry(commit: str) -> str:
    """The entry with the git bundle of `commit`."""
    return f"{VENDOR}git/{commit}.bundle"


def by_digest(vendored: Mapping[str, Vendored]) -> dict[str, Vendored]:
    """The files whose bytes can be had, by their sha256."""
    return {item.sha256: item for item in vendored.values() if item.pieces is not None}


def bundles(vendored: Mapping[str, Vendored]) -> dict[str, Vendored]:
    """The git bundles whose bytes can be had, by the commit that they hold."""
    start, end = bundle_entry("\n").split("\n")
    found = {name: item for name, item in vendored.items() if item.pieces is not None and name.startswith(start)}
    return {name.removeprefix(start).removesuffix(end): item for name, item in found.items()}


def refuse_missing_parts(vendored: Mapping[str, Vendored]) -> None:
    """Say by name which parts of a split capsule are not there, or not whole: BadInput ``capsule-part-missing``."""
    ends: dict[Path, int] = {}
    for piece in (piece for item in vendored.values() for piece in item.pieces or ()):
        ends[piece.path] = max(ends.get(piece.path, 0), piece.offset + piece.length)
    missing = [path.name for path, end in ends.items() if not _holds(path, end)]
    if missing:
        raise parts_missing(sorted(missing))


def parts_missing(names: list[str]) -> BadInput:
    """The error for parts that are not there, or too short."""
    verb = "is" if len(names) == 1 else "are"
    return BadInput(
        "capsule-part-missing",
        f"Of the capsule, {', '.join(names)} {verb} not there, or not whole.",
        "Put every part beside the .capsule.zip, under the name that it was made with.",
    )


def _holds(path: Path, size: int) -> bool:
    return path.is_file() and os.path.getsize(path) >= size
