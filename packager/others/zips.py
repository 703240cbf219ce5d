"""Reading a stranger's zip: names that stay inside, plain files only, and never more bytes than it was trusted with."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..capsule import safe_name
from ..errors import BadInput

_CHUNK = 1 << 20
_CURE = "Do not use this file; ask its author for a new one."


class Limits(NamedTuple):
    """How much may come out of a zip: files, and bytes in all."""

    files: int
    size: int


def read_zip(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Every file in the zip at `path`, by name; folders are no files.

    What it says of sizes is not believed: what comes out is counted.

    Raises:
        BadInput: ``others-unreadable`` when it is no whole zip, or holds links, encrypted files or two of one name;
            ``others-too-large``; ``capsule-unsafe-name``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _read(path, archive, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _unreadable(path, str(error) or "it is cut off") from error


def _read(path: Path, archive: zipfile.ZipFile, limits: Limits) -> Iterator[tuple[str, bytes]]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > limits.files:
        raise _too_large(path, f"more than {limits.files:,} files")
    names = [safe_name(info.filename) for info in infos]
    folded = {name.casefold() for name in names}
    folders = {name[:end] for name in folded for end in range(len(name)) if name[end] == "/"}
    if len(folded) != len(names) or folded & folders:
        raise _unreadable(path, "it holds two files of one name")
    left = limits.size
    for info, name in zip(infos, names, strict=True):
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise _unreadable(path, f"{name} is no plain file")
        data = _limited(path, archive, info, left)
        left -= len(data)
        yield name, data


def _limited(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    parts, size = [], 0
    with archive.open(info) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise _too_large(path, "more than it may")
            parts.append(chunk)
    return b"".join(parts)


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput("others-unreadable", f"{path.name} cannot be read: {why}.", _CURE)


def _too_large(path: Path, what: str) -> BadInput:
    return BadInput("others-too-large", f"{path.name} unpacks to {what}; nothing of it was used.", _CURE)
