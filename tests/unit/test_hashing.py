"""Hashing files: the right digest of many at once, stopped at any moment, and never a hang."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.digest_cache import clear_digests, sha256_files, verify_digests
from comfy_capsule.packager.errors import Cancelled
from comfy_capsule.packager.hashing import hash_files
from comfy_capsule.packager.progress import Progress


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "answers.sqlite3")


def rest(path: Path, seconds: float = 100) -> Path:
    """`path`, last written `seconds` ago."""
    when = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(when, when))
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return rest(path)


def sparse(path: Path, gib: float) -> Path:
    """A file of so many GiB that takes no disk."""
    with path.open("wb") as file:
        file.truncate(int(gib * (1 << 30)))
    return path


def test_many_files_of_every_size_have_the_digest_that_sha256_gives(tmp_path: Path) -> None:
    sizes = (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20)
    files = {model(tmp_path, f"{size}.bin", os.urandom(size)): size for size in sizes}
    events: list[Progress] = []
    done = hash_files([*files, *files], events.append, phase="models")
    assert {path: item.sha256 for path, item in done.items()} == {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    assert events[-1] == Progress(phase="models", item=events[-1].item, done=sum(sizes), total=sum(sizes), unit="bytes")
    assert hash_files([]) == {}


def test_a_cancellation_stops_a_huge_file_at_once_and_every_thread(tmp_path: Path) -> None:
    files = [sparse(tmp_path / name, 40) for name in ("a", "b", "c")]
    asked = 0.0
    counted = []

    def report(event: Progress) -> None:
        nonlocal asked
        counted.append(event.done)
        if len(counted) == 3:
            asked = time.monotonic()
            raise Cancelled

    with pytest.raises(Cancelled):
        hash_files(files, report)
    assert time.monotonic() - asked < 0.5
    assert 0 < counted[-1] < 40 << 30
    deadline = time.monotonic() + 0.5
    while any(thread.name.startswith("hash-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread goes on"
        time.sleep(0.01)


def test_the_report_is_called_in_the_callers_thread_and_while_one_file_is_read(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    hash_files([sparse(tmp_path / "a", 0.25)], lambda event: told.append((threading.get_ident(), event.done)))
    assert {thread for thread, _ in told} == {threading.get_ident()}
    assert len({done for _, done in told}) > 2


def test_what_is_no_readable_file_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "to-fifo").symlink_to("fifo")
    good = model(tmp_path, "good", b"x")
    names = ("fifo", "folder", "loop", "socket", "device", "to-fifo", "gone", "a\0b")
    done = hash_files([*(tmp_path / name for name in names), good])
    codes = {path.name: item.error.code for path, item in done.items() if item.error}
    unreadable = dict.fromkeys(("loop", "gone", "a\0b"), "file-unreadable")
    assert codes == {**dict.fromkeys(("fifo", "folder", "socket", "device", "to-fifo"), "not-a-file"), **unreadable}
    assert all(item.error.cure and item.error.message for item in done.values() if item.error)
    assert done[good].need() == hashlib.sha256(b"x").hexdigest()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_a_file_that_may_not_be_read_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "secret.safetensors")
        path.write_bytes(b"x")
        path.chmod(0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)  # nothing is forbidden to root
        try:
            error = hash_files([path])[path].error
        finally:
            os.seteuid(was)
    assert error is not None
    assert error.code == "file-unreadable"
    assert "Permission denied" in error.message


def test_a_fifo_that_takes_the_place_of_a_file_does_not_hang_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path, "a", b"x")
    real = os.open

    def late(name: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", late)
    error = hash_files([path])[path].error
    assert error is not None
    assert error.code == "not-a-file"


class Writer:
    """Changes `path` each time that a hash has begun, `times` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, times: int, how: str) -> None:
        self._real, self._path, self._times, self._how = hashlib.sha256, path, times, how
        monkeypatch.setattr(hashlib, "sha256", self._begin)

    def _begin(self) -> object:
        if self._times:
            self._times -= 1
            data = os.urandom(8)
            if self._how == "replaced":
                beside = self._path.with_suffix(".new")
                beside.write_bytes(data)
                beside.replace(self._path)
            elif self._how == "grows":
                with self._path.open("ab") as file:
                    file.write(data)
            else:
                self._path.write_bytes(data if self._how == "written" else data[: self._times % 7])
        return self._real()


@pytest.mark.parametrize("how", ["written", "replaced", "grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_read_again_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = model(tmp_path, "a", b"12345678")
    Writer(monkeypatch, path, 1, how)
    done = hash_files([path])[path]
    monkeypatch.undo()
    assert done.need() == hashlib.sha256(path.read_bytes()).hexdigest()
    Writer(monkeypatch, path, 99, how)
    error = hash_files([path])[path].error
    assert error is not None
    assert error.code == "file-changing"


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened from now on to be hashed."""
    opened: list[str] = []
    real = os.open

    def spy(name: Path, flags: int) -> int:
        opened.append(Path(name).name)
        return real(name, flags)

    monkeypatch.setattr(os, "open", spy)
    return opened


def test_a_known_file_is_not_read_again_until_it_changes(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = model(tmp_path, "one", b"1"), model(tmp_path, "b\udcff", b"2")
    first = sha256_files([one, two], cache=cache)
    opened = reads(monkeypatch)
    assert sha256_files([one, two], cache=cache) == first
    assert opened == []
    (tmp_path / "link").symlink_to(one)
    assert sha256_files([tmp_path / "link", one], cache=cache)[tmp_path / "link"] == first[one]
    assert opened == []
    rest(model(tmp_path, "one", b"!"), seconds=50)
    assert sha256_files([one], cache=cache)[one].need() == hashlib.sha256(b"!").hexdigest()
    assert opened == ["one"]


def test_one_file_of_two_paths_is_read_once(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    one = model(tmp_path, "one", b"1")
    (tmp_path / "link").symlink_to(one)
    opened = reads(monkeypatch)
    done = sha256_files([one, tmp_path / "link"], cache=cache)
    assert done[one] == done[tmp_path / "link"]
    assert opened == ["one"]


@pytest.mark.parametrize("ago", [0, 1.5, -100])
def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path: Path, cache: Cache, ago: float) -> None:
    """A second write within one tick of the clock would leave size, times and inode as they are."""
    path = model(tmp_path, "a", b"first")
    rest(path, ago)
    state = path.stat()
    sha256_files([path], cache=cache)
    path.write_bytes(b"other")
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert sha256_files([path], cache=cache)[path].need() == hashlib.sha256(b"other").hexdigest()


def test_side_files_of_other_programs_are_not_believed(tmp_path: Path, cache: Cache) -> None:
    lie = "0" * 64
    path = model(tmp_path, "a.safetensors", b"x")
    model(tmp_path, "a.safetensors.sha256", lie.encode())
    model(tmp_path, "a.civitai.info", f'{{"files": [{{"hashes": {{"SHA256": "{lie}"}}}}]}}'.encode())
    model(tmp_path, "a.metadata.json", f'{{"sha256": "{lie}"}}'.encode())
    blob = model(tmp_path, f"models--a--b/blobs/{lie}", b"y")
    done = sha256_files([path, blob], cache=cache)
    assert done[path].need() == hashlib.sha256(b"x").hexdigest()
    assert done[blob].need() == hashlib.sha256(b"y").hexdigest()


def test_digests_of_the_very_file_are_taken_over(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """As comfy-cli and comfy-pack write them. The digests are made up: so it shows that nothing was read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CPACK_HOME", str(tmp_path / "cpack"))
    names = ("cli", "pack", "changed", "resized", "renewed", "no digest", "fresh")
    files = {name: model(tmp_path, f"{name}.safetensors", name.encode()) for name in names}
    os.utime(files["fresh"])
    cli = {
        str(path): {"mtimeNs": path.stat().st_mtime_ns, "sizeBytes": path.stat().st_size, "sha256": "c" * 64}
        for path in (files["cli"], files["changed"], files["fresh"])
    }
    pack = {
        str(path): {"size": path.stat().st_size, "birthtime": path.stat().st_ctime, "sha256": "a" * 64}
        for path in (files["pack"], files["resized"], files["renewed"], files["no digest"])
    }
    cli[str(files["changed"])]["mtimeNs"] += 1
    pack[str(files["resized"])]["size"] += 1
    pack[str(files["renewed"])]["birthtime"] -= 1
    pack[str(files["no digest"])]["sha256"] = "../" + "a" * 61
    for place, said in {"xdg/comfy-cli/build-model-digests.json": cli, "cpack/sha_cache.json": pack}.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(json.dumps({**said, "odd": [1]}))
    found = sha256_files(list(files.values()), cache=cache)
    assert found[files["cli"]].sha256 == "c" * 64
    assert found[files["pack"]].sha256 == ("a" * 64 if sys.platform != "win32" else sha256(b"pack"))
    for name in ("changed", "resized", "renewed", "no digest", "fresh"):
        assert found[files[name]].sha256 == sha256(name.encode()), name
    assert {Path(item.path).stem for item in verify_digests(cache=cache).wrong} == {"cli", "pack"}
    (tmp_path / "cpack/sha_cache.json").write_bytes(b"\xff{")
    assert sha256_files([files["pack"]], cache=cache)[files["pack"]].sha256 == sha256(b"pack")


def test_verify_finds_a_wrong_digest_drops_it_and_forgets_what_is_outdated(tmp_path: Path, cache: Cache) -> None:
    names = ("right", "rotten", "changed", "gone")
    files = {name: model(tmp_path, name, name.encode()) for name in names}
    sha256_files(list(files.values()), cache=cache)
    state = files["rotten"].stat()
    files["rotten"].write_bytes(b"r0tten")
    os.utime(files["rotten"], ns=(state.st_mtime_ns, state.st_mtime_ns))
    rest(model(tmp_path, "changed", b"other bytes"))
    files["gone"].unlink()
    cache.put("sha256", {"no key of ours": "x"})
    checked = verify_digests(cache=cache)
    assert (checked.right, checked.outdated, checked.absent) == (1, 2, 1)
    assert [(item.path, item.cached, item.found) for item in checked.wrong] == [
        (str(files["rotten"]), hashlib.sha256(b"rotten").hexdigest(), hashlib.sha256(b"r0tten").hexdigest())
    ]
    assert len(cache.all("sha256")) == 2
    assert sha256_files([files["rotten"]], cache=cache)[files["rotten"]].need() == checked.wrong[0].found
    assert verify_digests(cache=cache).wrong == ()
    assert clear_digests(cache) == 3
    assert cache.all("sha256") == {}


_HASHES = """
import sys; from pathlib import Path
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.digest_cache import sha256_files
cache, folder = Cache(Path(sys.argv[1])), Path(sys.argv[2])
for turn in range(int(sys.argv[3])):
    for path in sorted(folder.iterdir()):
        sha256_files([path], cache=cache)
        print(path.name, flush=True)
    cache.forget("sha256", cache.all("sha256"))
"""


def test_two_processes_share_the_cache_and_a_kill_leaves_it_whole(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    files = [model(folder, str(number), str(number).encode()) for number in range(20)]
    argv = [sys.executable, "-c", _HASHES, str(tmp_path / "c.sqlite3"), str(folder)]
    killed = [subprocess.Popen([*argv, "1000"], stdout=subprocess.PIPE) for _ in range(2)]
    for process in killed:
        assert process.stdout
        for _ in range(30):
            assert process.stdout.readline()
    for process in killed:
        process.kill()
        process.communicate()
    cache = Cache(tmp_path / "c.sqlite3")
    for path, item in sha256_files(files, cache=cache).items():
        assert item.need() == hashlib.sha256(path.name.encode()).hexdigest()
    assert len(cache.all("sha256")) == 20
    assert verify_digests(cache=cache).right == 20
