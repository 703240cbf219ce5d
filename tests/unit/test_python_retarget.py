"""A lock that was made on Windows, translated for Linux: every change is named, and what runs there too stays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.index import PackageIndex, make_wheel, serving_index
from bench.python_env import as_install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import sha256_file
from comfy_capsule.packager.materialise import read_pylock
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.snapshot.python.retarget import Retargeted, retarget

LINUX = "cp311-cp311-manylinux_2_17_x86_64"
WINDOWS = "cp311-cp311-win_amd64"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with serving_index(tmp_path / "index") as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.address)
        yield served


def windows_lock(tmp_path: Path, index: PackageIndex) -> str:
    """Of an environment with one wheel of each kind; the index gets what Linux has of them."""
    files = {
        "pure": make_wheel(index.folder, "pure"),
        "native": make_wheel(index.folder, "native", tag=WINDOWS),
        "winonly": make_wheel(index.folder, "winonly", tag=WINDOWS),
        "torchlike": make_wheel(tmp_path / "extra", "torchlike", "2.0+cu130", tag=WINDOWS),
    }
    make_wheel(index.folder, "native", tag=LINUX)
    make_wheel(index.folder, "native", tag="py3-none-manylinux_2_28_x86_64")
    make_wheel(index.folder, "torchlike", "2.0", tag=LINUX, requires="cudalike==1.0; sys_platform == 'linux'")
    make_wheel(index.folder, "cudalike", tag="py3-none-manylinux_2_17_x86_64")
    text = 'lock-version = "1.0"\ncreated-by = "test"\n'
    for name, file in files.items():
        version = file.name.split("-")[1]
        text += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        text += (
            f'wheels = [{{ url = "https://x.example/{file.name}", hashes = {{ sha256 = "{sha256_file(file)}" }} }}]\n'
        )
    return text + '[tool.comfy-capsule]\nunproved = []\nrecords = { pure = "1", native = "2" }\n'


def packages(made: Retargeted) -> dict[str, str]:
    """The file names by distribution."""
    found = read_pylock(made.text).pylock.packages
    return {str(item.name): (item.wheels or ())[0].filename for item in found}


def test_every_change_is_named(tmp_path: Path, index: PackageIndex) -> None:
    made = retarget(windows_lock(tmp_path, index), "x86_64", "3.11.7", Path(sys.executable))
    assert packages(made) == {
        "pure": "pure-1.0-py3-none-any.whl",
        "native": f"native-1.0-{LINUX}.whl",
        "torchlike": f"torchlike-2.0-{LINUX}.whl",
        "cudalike": "cudalike-1.0-py3-none-manylinux_2_17_x86_64.whl",
    }
    said = {finding.subject: finding.message for finding in made.findings}
    assert set(said) == {"native", "winonly", "torchlike", "cudalike"}
    assert "left out" in said["winonly"]
    assert "without its build tag" in said["torchlike"]
    assert "added" in said["cudalike"]
    lock = read_pylock(made.text)
    assert lock.tool.records == {"pure": "1"}, "what was installed of another file says nothing of this one"
    assert "linux" in str((lock.pylock.environments or [])[0])


def test_another_machine_has_other_wheels(tmp_path: Path, index: PackageIndex) -> None:
    made = retarget(windows_lock(tmp_path, index), "aarch64", "3.11.7", Path(sys.executable))
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
