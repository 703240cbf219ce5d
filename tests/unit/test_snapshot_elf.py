"""Reading ELF files: what a header says, and that a damaged or hostile one is nothing worse than no answer."""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path

from bench.elf import shared_object, write_shared
from comfy_capsule.packager.snapshot.system.elf import read_elf

WHOLE = shared_object(needed=["libGL.so.1", "libc.so.6"], soname="libx.so.1", runpath="$ORIGIN/a:/b", rpath="/c")


def read(tmp_path: Path, data: bytes) -> object:
    file = tmp_path / "x.so"
    file.write_bytes(data)
    return read_elf(file)


def test_names_and_search_path_are_what_the_header_says(tmp_path: Path) -> None:
    elf = read_elf(write_shared(tmp_path / "x.so", needed=["libGL.so.1"], soname="libx.so.1", rpath="$ORIGIN/a:/b:"))
    assert elf is not None
    assert (elf.machine, elf.bits, elf.soname, elf.needed) == (62, 64, "libx.so.1", ("libGL.so.1",))
    assert (elf.search, elf.inherited) == (("$ORIGIN/a", "/b"), True)
    newer = read(tmp_path, WHOLE)
    assert newer.search == ("$ORIGIN/a", "/b")  # RUNPATH puts RPATH out of force
    assert not newer.inherited


def test_what_this_python_is_linked_to_is_read_from_a_real_file() -> None:
    import numpy._core._multiarray_umath as module

    elf = read_elf(module.__file__)
    assert elf is not None
    assert "libc.so.6" in elf.needed
    bundled = [name for name in elf.needed if "openblas" in name]
    place = Path(module.__file__).parent
    assert bundled
    assert any((place / folder.replace("$ORIGIN", ".") / bundled[0]).is_file() for folder in elf.search)


def test_a_file_cut_short_is_no_error(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE).needed
    for length in range(0, len(WHOLE) - 20, 3):
        answer = read(tmp_path, WHOLE[:length])
        assert answer is None or not answer.needed


def test_damaged_bytes_anywhere_are_no_error_and_take_no_time(tmp_path: Path) -> None:
    chance = random.Random(1)
    began = time.monotonic()
    for _ in range(500):
        data = bytearray(WHOLE)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(4, len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        read(tmp_path, bytes(data))
    assert time.monotonic() - began < 5


def test_huge_counts_and_sizes_are_not_believed(tmp_path: Path) -> None:
    many = bytearray(WHOLE)
    struct.pack_into("<H", many, 56, 0xFFFF)  # e_phnum
    assert read(tmp_path, bytes(many)) is None
    wide = bytearray(WHOLE)
    struct.pack_into("<Q", wide, 64 + 56 + 32, 1 << 62)  # the dynamic section's size
    assert read(tmp_path, bytes(wide)).needed == ()
    names = shared_object(needed=[f"lib{number}.so" for number in range(3000)])
    began = time.monotonic()
    assert len(read(tmp_path, names).needed) <= 1024
    assert time.monotonic() - began < 1
    endless = shared_object(needed=["l" * 100_000])
    assert read(tmp_path, endless) is None


def test_other_things_are_no_shared_objects(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.so")
    (tmp_path / "folder.so").mkdir()
    (tmp_path / "loop.so").symlink_to("loop.so")
    for name in ("fifo.so", "folder.so", "loop.so", "gone.so"):
        assert read_elf(tmp_path / name) is None
    assert read(tmp_path, b"INPUT(-lfoo)") is None  # a linker script
