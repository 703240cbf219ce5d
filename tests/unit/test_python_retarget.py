"""A lock that was made on Windows, translated for Linux: every change is named, and what runs there too stays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.index import PackageIndex, default_index
from bench.python_env import HERE, as_install, venv
from bench.windows import LINUX, windows_lock
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.materialise import read_pylock
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.snapshot.python.retarget import Retargeted, retarget

PYTHON = Path(sys.executable)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with default_index(tmp_path, monkeypatch) as served:
        yield served


def packages(made: Retargeted) -> dict[str, str]:
    """The file names by distribution."""
    found = read_pylock(made.text).pylock.packages
    return {str(item.name): (item.wheels or ())[0].filename for item in found}


def test_every_change_is_named(tmp_path: Path, index: PackageIndex) -> None:
    captured = windows_lock(tmp_path, index, unproved=["gone==1.0", "there==1.0"])
    made = retarget(captured, "x86_64", HERE, PYTHON)
    assert packages(made) == {
        "pure": "pure-1.0-py3-none-any.whl",
        "native": f"native-1.0-{LINUX}.whl",
        "torchlike": f"torchlike-2.0-{LINUX}.whl",
        "cudalike": "cudalike-1.0-py3-none-manylinux_2_17_x86_64.whl",
    }
    said = {finding.subject: finding.message for finding in made.findings}
    assert set(said) == {"native", "winonly", "torchlike", "cudalike", "gone"}
    assert "left out" in said["winonly"]
    assert "left out" in said["gone"]
    assert "without its build tag" in said["torchlike"]
    assert "added" in said["cudalike"]
    lock = read_pylock(made.text)
    assert lock.unproved == ("there==1.0",)
    assert sorted(lock.tool.records) == ["cudalike", "native", "pure", "torchlike"]
    before = read_pylock(captured).tool.records
    assert lock.tool.records["pure"] == before["pure"]
    assert lock.tool.records["native"] != before["native"], "what was installed of another file says nothing of this"
    assert "linux" in str((lock.pylock.environments or [])[0])


def test_another_machine_has_other_wheels(tmp_path: Path, index: PackageIndex) -> None:
    made = retarget(windows_lock(tmp_path, index), "aarch64", HERE, PYTHON)
    assert packages(made) == {"pure": "pure-1.0-py3-none-any.whl"}
    assert {finding.subject for finding in made.findings} == {"native", "winonly", "torchlike"}


def test_a_snapshot_on_windows_carries_both(
    tmp_path: Path, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    cache = Cache(tmp_path / "cache.sqlite3")
    said = lock_python(as_install(venv(tmp_path / "v")), silent, cache=cache)
    assert sorted(said.files) == ["pylock.linux-aarch64.toml", "pylock.linux-x86_64.toml"]
    assert "aarch64" in str(read_pylock(said.files["pylock.linux-aarch64.toml"].decode()).pylock.environments)
    assert lock_python(as_install(venv(tmp_path / "w")), silent, cache=cache).files == said.files
