"""A disk that fills while a capsule is restored into an existing ComfyUI: told, and nothing has changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.disk import small_disk
from bench.small import Small, whole_tree
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.progress import Progress


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as place:
        yield place


def fill(disk: Path, left: int) -> None:
    """Leave `left` bytes of the disk free."""
    (disk / "full").write_bytes(b"")
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    (disk / "full").write_bytes(bytes(max(0, free - left)))


@pytest.mark.parametrize("left", [0, 8, 20, 40, 60, 80, 110, 140, 170, 200])
def test_a_disk_that_fills_while_the_new_is_built_leaves_it_as_it_was(left: int, small: Small, disk: Path) -> None:
    """`left` is in KiB; about 220 are needed."""
    root = small.kind("other-version", disk / "ComfyUI")
    fill(disk, left << 10)
    before = whole_tree(root)
    with pytest.raises(CapsuleError, match="is full") as caught:
        small.into(root, "merge")
    assert caught.value.code == "disk-full"
    assert whole_tree(root) == before


@pytest.mark.parametrize("at", [1, 5, 20])
def test_a_disk_that_fills_while_it_is_put_in_place_leaves_it_as_it_was(at: int, small: Small, disk: Path) -> None:
    root = small.kind("other-version", disk / "ComfyUI")
    before = whole_tree(root)

    def full(progress: Progress) -> None:
        if progress.phase == "apply" and progress.done == at:
            journal = root / ".comfy-capsule/restoring/journal.jsonl"
            with journal.open("ab") as file:  # to the end of its last page, after which a new one is needed
                file.write(b"\n" * (-journal.stat().st_size % 4096))
            fill(disk, 0)

    with pytest.raises(CapsuleError, match="is full"):
        small.into(root, "merge", full)
    assert whole_tree(root) == before
