"""The Python lock names the very wheel that is installed, proved by its RECORD, and says where it is not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.pylock import Package, Pylock

from bench.index import PackageIndex, default_index, make_wheel, serving_index
from bench.python_env import as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import sha256_file
from comfy_capsule.packager.materialise import read_pylock, site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import PythonLock, lock_python
from comfy_capsule.packager.snapshot.python.text import pylock_text

NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite3")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The user's only package index."""
    with default_index(tmp_path, monkeypatch) as served:
        yield served


def locked(folder: Path, cache: Cache) -> PythonLock:
    said = lock_python(as_install(folder), silent, cache=cache)
    Pylock.from_dict(read_pylock(said.text).pylock.to_dict()).validate()
    return said


def packages(said: PythonLock) -> dict[str, Package]:
    return {str(item.name): item for item in read_pylock(said.text).pylock.packages}


def codes(said: PythonLock) -> set[tuple[str, str, bool]]:
    return {(item.code, item.subject, item.blocks) for item in said.findings}


SCRIPTED = {
    "beta/__init__.py": "def main(): pass\n",
    "beta-1.0.data/scripts/beta-tool": "#!python\nprint('tool')\n",
    "beta-1.0.data/data/share/beta/read.me": "data\n",
    "beta-1.0.data/purelib/beta_more.py": "more = 1\n",
}


def test_the_installed_wheel_is_known_by_its_record(tmp_path: Path, index: PackageIndex, cache: Cache) -> None:
    alpha = make_wheel(index.folder, "alpha")
    beta = make_wheel(index.folder, "beta", files=SCRIPTED, entry="beta-run = beta:main")
    folder = venv(tmp_path / "v")
    install("uv", folder, ["alpha==1.0", "beta==1.0"])
    index.asked.clear()
    said = locked(folder, cache)
    assert said.findings == ()
    for name, wheel in (("alpha", alpha), ("beta", beta)):
        (file,) = packages(said)[name].wheels or ()
        assert dict(file.hashes) == {"sha256": sha256_file(wheel)}
        assert file.size == wheel.stat().st_size
        assert packages(said)[name].index is None, "the default index is not written down"
    assert f"{alpha.name}[part]" in index.asked
    index.asked.clear()
    assert locked(folder, cache) == said
    assert index.asked == [], "what was proved is asked again"
    assert locked(folder, Cache(tmp_path / "other.sqlite3")) == said, "the lock depends on the cache"


def test_pip_and_uv_give_the_same_lock(tmp_path: Path, index: PackageIndex) -> None:
    make_wheel(index.folder, "beta", files=SCRIPTED, entry="beta-run = beta:main")
    texts = set()
    for tool in ("pip", "uv"):
        folder = venv(tmp_path / f"of-{tool}")
        install(tool, folder, ["beta==1.0"], "--index-url", index.address)
        said = locked(folder, Cache(tmp_path / f"of-{tool}.sqlite3"))
        assert said.findings == ()
        texts.add(said.text)
    assert len(texts) == 1


def test_a_first_time_is_enough(
    tmp_path: Path, index: PackageIndex, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index.folder, "alpha")
    folder = venv(tmp_path / "v")
    install("uv", folder, ["alpha==1.0"])
    first = locked(folder, cache)
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)
    assert locked(folder, cache) == first
    without = locked(folder, Cache(tmp_path / "empty.sqlite3"))
    assert codes(without) == {("hash-unknown", "alpha", False)}
    assert read_pylock(without.text).unproved == ("alpha==1.0",)


def test_a_rebuilt_wheel_is_not_taken_for_the_installed_one(
    tmp_path: Path, index: PackageIndex, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_wheel(tmp_path / "mine", "alpha", files={"alpha.py": "print('mine')\n"})
    theirs = make_wheel(index.folder, "alpha", files={"alpha.py": "print('theirs')\n"})
    folder = venv(tmp_path / "v")
    install("uv", folder, ["alpha==1.0"], "--no-index", "--find-links", str(mine.parent))
    said = locked(folder, cache)
    assert codes(said) == {("wheel-carried", "alpha", False)}
    assert sha256_file(theirs) not in said.text
    (file,) = packages(said)["alpha"].wheels or ()
    assert file.path == "python/alpha-1.0-py3-none-any.whl"
    assert list(said.files) == [file.path]
    index.asked.clear()
    assert locked(folder, cache) == said
    assert index.asked == []
    monkeypatch.setattr("comfy_capsule.packager.snapshot.python.wheels._ASK_AGAIN", 0)
    assert locked(folder, cache) == said
    assert index.asked, "what an index did not have may be there by now"
    index.folder.joinpath(mine.name).write_bytes(mine.read_bytes())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-again"))
    assert sha256_file(mine) in locked(folder, cache).text


def test_without_parts_of_files_the_small_ones_are_read_whole_and_the_rest_is_said(
    tmp_path: Path, index: PackageIndex, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index.folder, "alpha")
    folder = venv(tmp_path / "v")
    install("uv", folder, ["alpha==1.0"])
    index.ranges = False
    assert locked(folder, Cache(tmp_path / "one.sqlite3")).findings == ()
    monkeypatch.setattr("comfy_capsule.packager.snapshot.python.wheelzip._MOST_FETCHED", 10)
    said = locked(folder, cache)
    assert codes(said) == {("wheel-not-proved", "alpha", False)}
    assert (packages(said)["alpha"].wheels or ())[0].hashes
    metadata = (site_packages(folder) / "alpha-1.0.dist-info/METADATA").read_bytes()
    index.metadata = {"alpha-1.0-py3-none-any.whl": metadata}
    assert locked(folder, cache) == said
    index.metadata = {"alpha-1.0-py3-none-any.whl": metadata + b"another"}
    assert codes(locked(folder, cache)) == {("wheel-carried", "alpha", False)}


def test_what_only_another_index_has_is_found_there_and_its_password_is_told_nobody(
    tmp_path: Path, index: PackageIndex, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index.folder, "alpha")
    make_wheel(index.folder, "torchlike", "2.0")
    with serving_index(tmp_path / "extra") as extra:
        extra.password = "planted-secret"
        monkeypatch.setenv("UV_INDEX", extra.address.replace("://", "://me:planted-secret@"))
        make_wheel(extra.folder, "torchlike", "2.0+cu130")
        make_wheel(extra.folder, "alpha", "9.0")  # uv looks no further than here
        folder = venv(tmp_path / "v")
        install("uv", folder, ["torchlike==2.0+cu130"])
        install(
            "uv",
            folder,
            ["alpha==1.0"],
            "--no-deps",
            "--default-index",
            index.address,
            "--index-strategy",
            "unsafe-best-match",
        )
        said = locked(folder, cache)
        assert said.findings == ()
        assert said.versions == {"alpha": "1.0", "torchlike": "2.0+cu130"}
        assert packages(said)["torchlike"].index == extra.address
        assert packages(said)["alpha"].index is None
        assert "planted-secret" not in said.text


def test_what_has_no_wheel_anywhere_is_carried_as_one(tmp_path: Path, index: PackageIndex, cache: Cache) -> None:
    folder = venv(tmp_path / "v")
    wheel = make_wheel(tmp_path / "mine", "beta", files=SCRIPTED, entry="beta-run = beta:main")
    install("pip", folder, [wheel])
    said = locked(folder, cache)
    assert codes(said) == {("local-distribution", "beta", False)}
    wheel.unlink()
    again = locked(folder, cache)
    assert again == said, "whether the file is still there changes the lock"
    elsewhere = venv(tmp_path / "elsewhere")
    for name, data in said.files.items():
        (tmp_path / Path(name).name).write_bytes(data)
        install("uv", elsewhere, [tmp_path / Path(name).name])
    back = locked(elsewhere, cache)
    assert back.text == said.text
    assert back.files == said.files
    assert (elsewhere / "share/beta/read.me").read_text() == "data\n"
    assert (elsewhere / "bin/beta-tool").read_text().startswith("#!/")


def test_names_that_uv_itself_uses_do_not_spoil_the_answer(tmp_path: Path, index: PackageIndex, cache: Cache) -> None:
    """uv names what it cannot find in a sentence that holds other words too."""
    make_wheel(index.folder, "pip")
    make_wheel(index.folder, "because")
    folder = venv(tmp_path / "v")
    install("uv", folder, ["pip==1.0", "because==1.0"])
    install("uv", folder, [make_wheel(tmp_path / "mine", "private-thing")])
    (site_packages(folder) / "private_thing-1.0.dist-info/direct_url.json").unlink()
    said = locked(folder, cache)
    assert codes(said) == {("wheel-carried", "private-thing", False)}


def test_what_was_installed_from_elsewhere_says_from_where(tmp_path: Path, index: PackageIndex, cache: Cache) -> None:
    folder = venv(tmp_path / "v")
    install("uv", folder, [make_wheel(tmp_path, name) for name in ("fromgit", "fromurl", "moved")])
    commit, digest = "0123456789abcdef0123456789abcdef01234567", "ab" * 32
    said = {
        "fromgit": {"url": "https://me:pw@example.com/x", "vcs_info": {"vcs": "git", "commit_id": commit}},
        "fromurl": {"url": "https://me:pw@example.com/x.whl", "archive_info": {"hashes": {"sha256": digest}}},
        "moved": {"url": "file:///nowhere/at/all", "dir_info": {"editable": True}},
    }
    for name, direct in said.items():
        (site_packages(folder) / f"{name}-1.0.dist-info/direct_url.json").write_text(json.dumps(direct))
    found = locked(folder, cache)
    by_name = packages(found)
    assert by_name["fromgit"].vcs is not None
    assert by_name["fromgit"].vcs.commit_id == commit
    assert by_name["fromurl"].archive is not None
    assert dict(by_name["fromurl"].archive.hashes) == {"sha256": digest}
    assert "pw@" not in found.text
    assert codes(found) == {("local-distribution", "moved", True)}
    assert read_pylock(found.text).unproved == ("moved==1.0",)
    assert index.asked == []


def test_the_text_of_a_lock_says_what_it_was_given() -> None:
    odd = 'a "quoted" \\ back\tslash \x7f é 🎨 \n line'
    said = {
        "lock-version": "1.0",
        "environments": ["a", odd],
        "packages": [{"name": "x", "wheels": [{"url": odd, "size": 1, "hashes": {"sha256": "0"}}, {"url": "b"}]}],
        "tool": {
            "comfy-capsule": {
                "unproved": [],
                "records": {"x": "1"},
                "changed": {"-": [{"path": odd, "executable": True}]},
            }
        },
    }
    assert tomllib.loads(pylock_text(said, "comment")) == said
    assert tomllib.loads(pylock_text({"packages": []}, "comment")) == {"packages": []}
