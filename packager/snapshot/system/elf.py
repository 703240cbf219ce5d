"""What an ELF file asks of the dynamic linker: the libraries it needs, its own name, and where it looks.

Only program headers and the dynamic section are read, never sections, which a stripped file may lack. Formats and
numbers: System V ABI, generic part ("gABI"), chapters "Object Files" and "Program Loading and Dynamic Linking".
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_MAGIC = b"\x7fELF"
_LOADED = (2, 3)  # e_type ET_EXEC, ET_DYN
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 14, 15, 29

# A file may claim anything; real ones stay far below these. The largest dynamic sections seen hold about 100 entries.
_MOST_HEADERS = 256
_MOST_DYNAMIC = 1 << 16  # bytes
_AT_ONCE = 4096  # bytes read first; enough for nearly every name
_LONGEST = 1 << 16  # bytes of one name or search path
_MOST_NEEDED = 1024

#: ``platform.machine()`` in lower case, as ELF's e_machine and class (bits) say it.
MACHINES = {"x86_64": (62, 64), "amd64": (62, 64), "aarch64": (183, 64), "arm64": (183, 64)}


class Elf(BaseModel):
    """One shared object or program.

    `search` is its DT_RUNPATH or, where it has none, its DT_RPATH, which then is `inherited` by what it loads.
    """

    model_config = ConfigDict(frozen=True)

    machine: int
    bits: int
    soname: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    inherited: bool = False


def read_elf(path: Path | str) -> Elf | None:
    """The shared object or program at `path`; None for anything else, also for one that is damaged or not readable."""
    try:
        # A FIFO would wait for a writer.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(handle)
        return _read(handle, status.st_size) if stat.S_ISREG(status.st_mode) else None
    except (OSError, struct.error, OverflowError):
        return None  # cut short, or offsets that point nowhere
    finally:
        os.close(handle)


def _read(handle: int, size: int) -> Elf | None:
    head = os.pread(handle, _AT_ONCE, 0)
    if head[:4] != _MAGIC or len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    header = struct.unpack_from(order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH"), head, 16)
    kind, machine, headers, entry_size, count = header[0], header[1], header[4], header[8], header[9]
    if kind not in _LOADED or count > _MOST_HEADERS or entry_size < (56 if wide else 32):
        return None
    table = _at(handle, headers, entry_size * count, head)
    segments = [_segment(table, start, order, wide) for start in range(0, entry_size * count, entry_size)]
    dynamic = next((item for item in segments if item[0] == _PT_DYNAMIC), None)
    if dynamic is None or not 0 < dynamic[3] <= _MOST_DYNAMIC or dynamic[1] + dynamic[3] > size:
        return Elf(machine=machine, bits=64 if wide else 32)
    entries = _entries(_at(handle, dynamic[1], dynamic[3], head), order, wide)
    names = _Names(handle, _file_offset(segments, dict(reversed(entries)).get(_DT_STRTAB, 0)))
    runpath = names.all(entries, _DT_RUNPATH)
    search = runpath or names.all(entries, _DT_RPATH)
    return Elf(
        machine=machine,
        bits=64 if wide else 32,
        soname="".join(names.all(entries, _DT_SONAME)[:1]),
        needed=tuple(names.all(entries, _DT_NEEDED)),
        search=tuple(place for text in search for place in text.split(":") if place),
        inherited=bool(search) and not runpath,
    )


def _at(handle: int, offset: int, length: int, head: bytes) -> bytes:
    if offset + length <= len(head):
        return head[offset : offset + length]
    return os.pread(handle, length, offset)


def _segment(table: bytes, start: int, order: str, wide: bool) -> tuple[int, int, int, int]:
    """A program header's p_type, p_offset, p_vaddr, p_filesz."""
    if wide:
        kind, _, offset, address, _, length = struct.unpack_from(order + "IIQQQQ", table, start)
    else:
        kind, offset, address, _, length = struct.unpack_from(order + "IIIII", table, start)
    return kind, offset, address, length


def _entries(data: bytes, order: str, wide: bool) -> list[tuple[int, int]]:
    """The dynamic section's (tag, value) pairs, up to its end mark."""
    form = struct.Struct(order + ("qQ" if wide else "iI"))
    entries: list[tuple[int, int]] = []
    for tag, value in form.iter_unpack(data[: len(data) // form.size * form.size]):
        if tag == _DT_NULL:
            break
        entries.append((tag, value))
    return entries


def _file_offset(segments: Sequence[tuple[int, int, int, int]], address: int) -> int:
    """Where in the file the byte is that is loaded at `address`."""
    for kind, offset, start, length in segments:
        if kind == _PT_LOAD and start <= address < start + length:
            return offset + address - start
    raise OverflowError(f"no segment holds the address {address:#x}")


class _Names:
    """The string table: read around each name, for a whole one may be as large as the code."""

    def __init__(self, handle: int, start: int) -> None:
        self._handle, self._start = handle, start
        self._near, self._base = b"", 0

    def all(self, entries: Sequence[tuple[int, int]], tag: int) -> list[str]:
        """The strings that the entries of `tag` name, in their order, each once."""
        values = [value for kind, value in entries if kind == tag][:_MOST_NEEDED]
        return list(dict.fromkeys(text for value in values if (text := self._one(value))))

    def _one(self, value: int) -> str:
        place = value - self._base
        if not 0 <= place < len(self._near) or self._near.find(b"\0", place) < 0:
            for size in (_AT_ONCE, _LONGEST):
                self._near, self._base, place = os.pread(self._handle, size, self._start + value), value, 0
                if b"\0" in self._near:
                    break
        end = self._near.find(b"\0", place)
        if end < 0:
            raise OverflowError("a name without an end")
        return self._near[place:end].decode("utf-8", "replace")
