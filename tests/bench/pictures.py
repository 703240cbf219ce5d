"""Pictures for tests: made here, the same bytes on every machine."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

PICTURE = "bench-picture.png"
"""The name of the example picture in the bench's input folder."""

Colour = tuple[int, int, int]


def example_picture(width: int = 96, height: int = 64) -> bytes:
    """A PNG with a colour gradient and a disc: any flip, tint or scale of it shows."""

    def colour(x: int, y: int) -> Colour:
        if (x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 4) ** 2:
            return 250, 220, 40
        return 255 * x // (width - 1), 255 * y // (height - 1), 160

    return png(width, height, colour)


def png(width: int, height: int, colour: Callable[[int, int], Colour]) -> bytes:
    """An 8-bit RGB PNG. Its data is stored, not compressed: zlib's versions compress differently."""
    rows = b"".join(b"\0" + b"".join(bytes(colour(x, y)) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", _stored(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def pixels(picture: bytes) -> tuple[str, tuple[int, int], bytes]:
    """Mode, size and decoded samples: what two pictures are compared by, for their metadata may differ."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        return image.mode, image.size, image.tobytes()


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    pieces = [data[start : start + 65535] for start in range(0, len(data), 65535)] or [b""]
    blocks = (struct.pack("<BHH", piece is pieces[-1], len(piece), 0xFFFF - len(piece)) + piece for piece in pieces)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
