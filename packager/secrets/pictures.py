"""The texts that programs write into pictures (graphs, prompts), rewritten; what is decoded as a picture stays.

PNG: ``tEXt``, ``zTXt``, ``iTXt``, ComfyUI's ``comf`` and ``eXIf`` chunks. WebP: ``EXIF`` and ``XMP``. JPEG: the
segments before the picture, comments and APP1 to APP15. What cannot be rewritten with a secret in it is dropped.
Sources: PNG third edition, RFC 9649 (WebP), ITU T.81 annex B (JPEG), TIFF 6.0 section 2 (EXIF).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

#: A text as it may be carried: the same, or with its secrets replaced.
Hide = Callable[[str], str]

_PNG = b"\x89PNG\r\n\x1a\n"
_LIMIT = 64 * 1024 * 1024  # bytes of one text, decompressed
_SEGMENT = 0xFFFF - 2  # bytes that one JPEG segment can hold
_PIXELS = frozenset({0xDA, 0xD9})  # start of scan, end of image


def rewrite_texts(data: bytes, hide: Hide) -> bytes:
    """The PNG, WebP or JPEG `data` with `hide` applied to each text in it; any other file, or a broken one, as it is.

    The very same bytes come back when `hide` changes nothing.
    """
    try:
        if data.startswith(_PNG):
            return _png(data, hide)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data, hide)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data, hide)
    except (struct.error, zlib.error, ValueError, IndexError):
        return data  # cut off or forged: whoever carries it looks at the bytes themselves
    return data


def _rewritten(data: bytes, hide: Hide) -> bytes:
    """A text in UTF-8, which JSON is, or in Latin-1."""
    try:
        return hide(data.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return hide(data.decode("latin-1")).encode("latin-1", "replace")


def _png(data: bytes, hide: Hide) -> bytes:
    out, at = [_PNG], len(_PNG)
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        whole, body = data[at : at + 12 + size], data[at + 8 : at + 8 + size]
        if len(whole) != 12 + size:
            raise ValueError("it is cut off")
        at += len(whole)
        new = _png_chunk(kind, body, hide)
        if new is None:
            out.append(whole)
        else:
            kind, body = new
            if body:
                out.append(struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)))
        if kind == b"IEND":
            break
    return b"".join(out) + data[at:]


def _png_chunk(kind: bytes, body: bytes, hide: Hide) -> tuple[bytes, bytes] | None:
    """The chunk in other words, an empty one to drop it, or None to keep it as it is.

    Compressed texts come back uncompressed: deflate's bytes differ from one zlib to the next.
    """
    if kind == b"eXIf":
        new = _exif(body, hide)
        return None if new == body else (kind, new)
    if kind not in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
        return None
    name, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:]
        language, translated, text = rest.split(b"\0", 2)
        text = _inflate(text) if compressed else text
        new, head = _rewritten(text, hide), b"\0".join((name, b"\0\0" + language, translated, b""))
    else:
        text = _inflate(rest[1:]) if kind == b"zTXt" else rest
        new, head = _rewritten(text, hide), name + b"\0"
    return None if new == text else (b"tEXt" if kind == b"zTXt" else kind, head + new)


def _inflate(data: bytes) -> bytes:
    out = zlib.decompressobj().decompress(data, _LIMIT + 1)
    if len(out) > _LIMIT:
        raise ValueError("a text is too large")
    return out


def _webp(data: bytes, hide: Hide) -> bytes:
    end = 8 + struct.unpack("<I", data[4:8])[0]
    if end > len(data):
        raise ValueError("it is cut off")
    out, at, changed = [], 12, False
    while at + 8 <= end:
        kind, size = struct.unpack("<4sI", data[at : at + 8])
        body, whole = data[at + 8 : at + 8 + size], data[at : at + 8 + size + size % 2]
        at += len(whole)
        new = body
        if kind == b"EXIF":
            prefix = b"Exif\0\0" if body.startswith(b"Exif\0\0") else b""
            kept = _exif(body.removeprefix(prefix), hide)
            new = prefix + kept if kept else b""
        elif kind == b"XMP ":
            new = _rewritten(body, hide)
        if new != body:
            # An empty directory keeps the flag in VP8X true.
            new = new or b"II*\0\x08\0\0\0\0\0\0\0\0\0"
            whole = struct.pack("<4sI", kind, len(new)) + new + b"\0" * (len(new) % 2)
            changed = True
        out.append(whole)
    if not changed:
        return data
    body = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(body)) + body + data[end:]


def _jpeg(data: bytes, hide: Hide) -> bytes:
    out, at = [data[:2]], 2
    while data[at] == 0xFF and data[at + 1] not in _PIXELS:
        kind = data[at + 1]
        (size,) = struct.unpack(">H", data[at + 2 : at + 4])
        whole, body = data[at : at + 2 + size], data[at + 4 : at + 2 + size]
        at += len(whole)
        if size < 2 or len(whole) != 2 + size:
            raise ValueError("it is cut off")
        new = _jpeg_segment(kind, body, hide)
        if new == body:
            out.append(whole)
        elif new and len(new) <= _SEGMENT:
            out.append(bytes((0xFF, kind)) + struct.pack(">H", len(new) + 2) + new)
    return b"".join(out) + data[at:]


def _jpeg_segment(kind: int, body: bytes, hide: Hide) -> bytes:
    if kind == 0xE1 and body.startswith(b"Exif\0\0"):
        kept = _exif(body[6:], hide)
        return body[:6] + kept if kept else b""
    if kind == 0xFE or (kind == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0")):
        return _rewritten(body, hide)
    if 0xE1 <= kind <= 0xEF and kind != 0xE2:  # not APP0 (JFIF) and APP2 (colour profile)
        return body if _quiet(body, hide) else b""
    return body


def _exif(data: bytes, hide: Hide) -> bytes:
    """A TIFF structure whose first directory's texts are rewritten; empty when a secret stands elsewhere in it.

    A new text is put at the end, where nothing else points to, and the old one is overwritten.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return data if _quiet(data, hide) else b""
    new = bytearray(data)
    (start,) = struct.unpack(f"{order}I", data[4:8])
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    for index in range(count):
        at = start + 2 + 12 * index
        _, kind, size, offset = struct.unpack(f"{order}HHII", data[at : at + 12])
        if kind != 2 or size <= 4:
            continue
        old = data[offset : offset + size]
        text = old.rstrip(b"\0")
        said = _rewritten(text, hide)
        if said != text:
            new[offset : offset + len(old)] = bytes(len(old))
            new += bytes(len(new) % 2)
            new[at + 4 : at + 12] = struct.pack(f"{order}II", len(said) + 1, len(new))
            new += said + b"\0"
    return bytes(new) if _quiet(bytes(new), hide) else b""


def _quiet(data: bytes, hide: Hide) -> bool:
    """Whether `data`, read in any usual encoding (``UserComment`` is often UTF-16), holds nothing to hide."""
    texts = [data.decode("latin-1"), data.decode("utf-8", "replace")]
    texts += [data[skip:].decode(name, "replace") for name in ("utf-16-le", "utf-16-be") for skip in (0, 1)]
    return all(hide(text) == text for text in texts)
