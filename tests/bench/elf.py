"""Small ELF files for tests: a shared object that says what the dynamic linker needs, and holds no code."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

X86_64, AARCH64 = 62, 183
_NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 1, 5, 14, 15, 29
_BASE = 0x10000  # where it asks to be loaded: an address is no place in the file
_START = 64 + 2 * 56  # after the header and two program headers


def shared_object(
    *,
    needed: Sequence[str] = (),
    soname: str = "",
    rpath: str = "",
    runpath: str = "",
    machine: int = X86_64,
) -> bytes:
    """The bytes of a 64-bit little-endian ET_DYN file with a dynamic section (gABI, chapters 4 and 5)."""
    strings, entries = b"\0", []
    texts = [*((_NEEDED, name) for name in needed), (_SONAME, soname), (_RPATH, rpath), (_RUNPATH, runpath)]
    for tag, text in texts:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    length = 16 * (len(entries) + 2)
    entries += [(_STRTAB, _BASE + _START + length), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in entries)
    size = _START + length + len(strings)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 4096)
    table = struct.pack("<IIQQQQQQ", 2, 6, _START, _BASE + _START, _BASE + _START, length, length, 8)
    return header + load + table + dynamic + strings


def write_shared(path: Path, **said: str | int | Sequence[str]) -> Path:
    """Write one, with its folders; `said` as `shared_object` takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shared_object(**said))  # type: ignore[arg-type]
    return path
