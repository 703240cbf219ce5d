"""The graphs that ComfyUI writes into the pictures it saves: PNG text chunks and WebP EXIF tags.

Formats, as ComfyUI 0.30.0 writes them (``nodes.py`` SaveImage, ``comfy_api/latest/_ui.py``):

- PNG: one ``tEXt`` chunk (``iTXt`` when a text is not Latin-1) named ``workflow`` and one named ``prompt``;
  animated PNG: private chunks ``comf`` of the same shape, after the picture data.
- WebP: EXIF tags of the first directory whose text begins with ``workflow:`` or ``prompt:``
  (0x010F Make and 0x0110 Model; other programs count down from there).

Read by hand, so that nothing of a foreign picture is decoded but these texts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import BadInput

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes that one text may have, decompressed. The largest real graph seen is 3 MB.
LIMIT = 64 * 1024 * 1024


def picture_texts(path: Path) -> dict[str, str] | None:
    """The texts in the PNG or WebP at `path` by name (``workflow``, ``prompt``, …), or None if it is neither.

    Raises:
        BadInput: ``picture-unreadable`` when the picture is cut off, or a text is larger than `LIMIT`.
    """
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        try:
            if head.startswith(PNG_SIGNATURE):
                return dict(_png_texts(file))
            if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
                return dict(_webp_texts(file))
        except (EOFError, struct.error, zlib.error, ValueError) as error:
            raise BadInput(
                "picture-unreadable",
                f"The picture {path.name} cannot be read to its end: {error or 'it is cut off'}.",
                "Save it again from ComfyUI, and send it as a file, not through a chat that recodes pictures.",
            ) from error
    return None


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it is cut off")
    return data


def _limited(size: int) -> int:
    if size > LIMIT:
        raise ValueError(f"a text in it is larger than {LIMIT // 1024 // 1024} MB")
    return size


def _text(data: bytes) -> str:
    """UTF-8, which JSON is, or Latin-1, which PNG's tEXt is by its standard."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    out = stream.decompress(data, LIMIT + 1)
    _limited(len(out))
    return out


def _png_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """PNG, third edition, sections 5.3 (chunks) and 11.3.3 (texts)."""
    _exactly(file, len(PNG_SIGNATURE))
    while True:
        size, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
            file.seek(size, 1)
            _exactly(file, 4)
            if kind == b"IEND":
                return
            continue
        name, _, rest = _exactly(file, _limited(size)).partition(b"\0")
        _exactly(file, 4)
        if kind == b"zTXt":
            rest = _inflate(rest[1:])
        elif kind == b"iTXt":
            compressed = rest[:1] == b"\1"
            rest = rest[2:].split(b"\0", 2)[-1]  # after the language and the translated name
            rest = _inflate(rest) if compressed else rest
        yield _text(name), _text(rest)


def _webp_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """The RIFF container of WebP: 12 bytes of head, then chunks padded to an even size."""
    head = _exactly(file, 12)
    end = 8 + struct.unpack("<I", head[4:8])[0]
    while file.tell() + 8 <= end:
        kind, size = struct.unpack("<4sI", _exactly(file, 8))
        if kind != b"EXIF":
            file.seek(size + size % 2, 1)
            continue
        data = _exactly(file, _limited(size))
        yield from _exif_texts(data.removeprefix(b"Exif\0\0"))
        return
    file.seek(0, 2)
    if file.tell() < end:
        raise EOFError("it is cut off")


def _exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """The texts ``name:value`` of the first directory. TIFF 6.0, section 2; type 2 is ASCII."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("its EXIF has no byte order")
    start = struct.unpack(f"{order}I", data[4:8])[0]
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    for index in range(count):
        at = start + 2 + 12 * index
        _, kind, size, offset = struct.unpack(f"{order}HHII", data[at : at + 12])
        if kind != 2:
            continue
        where = at + 8 if size <= 4 else offset
        name, colon, value = _text(data[where : where + size].rstrip(b"\0")).partition(":")
        if colon:
            yield name.lower(), value
