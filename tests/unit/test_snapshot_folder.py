"""A snapshot as a folder: whole, kept up to date, and nobody else's files touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfy_capsule.packager.capsule import ComfyUI, Lock, Pack, Platform
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.snapshot import Snapshot, write_lock

PACKS = (
    Pack(name="a", kind="git", commit="1" * 40, patch="packs/a.patch", used=True),
    Pack(name="b", kind="folder", carried="packs/b.tar"),
)


def snapshot_of(*packs: Pack) -> Snapshot:
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=ComfyUI(version="1", kind="git"), packs=packs)
    files = {"packs/a.patch": b"patch", "packs/b.tar": b"tar", "python/x.whl": b"wheel"}
    return Snapshot(lock=lock, pylock="# lock\n", files=files)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_the_lock_and_what_it_carries(tmp_path: Path) -> None:
    write_lock(snapshot_of(*PACKS), tmp_path / "lock")
    assert files(tmp_path / "lock") == {"capsule.toml", "pylock.toml", "packs/a.patch", "packs/b.tar", "python/x.whl"}
    (tmp_path / "lock/notes.md").write_text("mine")
    used = snapshot_of(*PACKS).with_packs(PACKS[:1])
    assert used.files.keys() == {"packs/a.patch", "python/x.whl"}
    write_lock(used, tmp_path / "lock")
    left = {"capsule.toml", "pylock.toml", "packs/a.patch", "python/x.whl", "notes.md"}
    assert files(tmp_path / "lock") == left


def test_a_folder_of_other_things_is_let_be(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="no lock"):
        write_lock(snapshot_of(), tmp_path)
    assert files(tmp_path) == {"thesis.txt"}


def test_what_cannot_be_written_leaves_the_old_lock(tmp_path: Path) -> None:
    write_lock(snapshot_of(), tmp_path / "lock")
    before = (tmp_path / "lock/capsule.toml").read_bytes()
    (tmp_path / "lock/packs").rename(tmp_path / "gone")
    (tmp_path / "lock/packs").write_text("a file where a folder should be")
    with pytest.raises(OSError):
        write_lock(snapshot_of(*PACKS), tmp_path / "lock")
    assert (tmp_path / "lock/capsule.toml").read_bytes() == before
