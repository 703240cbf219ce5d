"""The files in which outputs are kept: what is used up is written again, and nothing else can reach it then."""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
from pathlib import Path

import pytest

from comfy_capsule.packager.gateway.blobs import _SPARE, LocalOutputs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are removed, and made anew")


@pytest.fixture
def store(tmp_path: Path) -> LocalOutputs:
    store = LocalOutputs(tmp_path / "blobs")
    store.expect()
    store._spare.pop().unlink()
    return store


def spare(folder: Path) -> list[Path]:
    return list((folder / "blobs/incoming").iterdir())


async def test_a_file_that_is_used_up_is_the_next_that_is_written(store: LocalOutputs, tmp_path: Path) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(b"much longer than the new one")
    number = old.stat().st_ino
    store.use_up(old)
    assert not old.exists()
    assert [path.stat().st_size for path in spare(tmp_path)] == [0]
    sha256, size = await store.put_bytes(b"new")
    assert (sha256, size) == (hashlib.sha256(b"new").hexdigest(), 3)
    assert store.path(sha256).stat().st_ino == number
    assert store.path(sha256).read_bytes() == b"new"


async def test_one_that_something_else_can_reach_is_removed_and_not_written(
    store: LocalOutputs, tmp_path: Path
) -> None:
    for number in range(6):
        (tmp_path / str(number)).write_bytes(b"theirs")
    os.link(tmp_path / "0", tmp_path / "other")
    (tmp_path / "1").chmod(0o600)
    link = tmp_path / "6"
    link.symlink_to(tmp_path / "other")
    mapped = (tmp_path / "2").open("r+b")
    view = mmap.mmap(mapped.fileno(), 0)
    mapped.close()
    with view, (tmp_path / "3").open("rb"), (tmp_path / "4").open("ab"):
        for number in (0, 1, 2, 3, 4, 6):
            store.use_up(tmp_path / str(number))
        assert spare(tmp_path) == []
        assert view[:] == b"theirs"
    assert (tmp_path / "other").read_bytes() == b"theirs"
    store.use_up(tmp_path / "5")
    assert len(spare(tmp_path)) == 1
    assert not any((tmp_path / str(number)).exists() for number in range(7))


async def test_a_folder_stays_where_it_is(store: LocalOutputs, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        store.use_up(tmp_path / "folder")
    assert (tmp_path / "folder").is_dir()
    assert spare(tmp_path) == []


async def test_no_more_are_kept_than_may_be_needed(store: LocalOutputs, tmp_path: Path) -> None:
    for number in range(_SPARE + 3):
        (tmp_path / f"{number}.png").write_bytes(b"x")
        store.use_up(tmp_path / f"{number}.png")
    assert len(spare(tmp_path)) == _SPARE
    assert not list(tmp_path.glob("*.png"))


async def test_what_is_kept_already_takes_no_new_file(store: LocalOutputs, tmp_path: Path) -> None:
    sha256, _ = await store.put_bytes(b"x")
    os.utime(store.path(sha256), (1, 1))
    store.expect()
    assert await store.put_bytes(b"x") == (sha256, 1)
    assert store.path(sha256).stat().st_mtime > 1  # kept anew
    assert len(spare(tmp_path)) == 1
