"""The cache of answers: kept over runs, shared by processes, never a reason to fail."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache


def test_answers_are_kept_over_runs(tmp_path: Path) -> None:
    Cache(tmp_path / "c.sqlite3").put("sha256", {"a": "1", "b": "2"})
    cache = Cache(tmp_path / "c.sqlite3")
    assert cache.get("sha256", ["a", "x"]) == {"a": "1"}
    assert cache.get("other", ["a"]) == {}
    cache.forget("sha256", ["a"])
    assert cache.all("sha256") == {"b": "2"}


def test_many_keys_are_asked_at_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite3")
    cache.put("sha256", {str(number): "x" for number in range(3000)})
    assert len(cache.get("sha256", map(str, range(4000)))) == 3000


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite3").write_bytes(b"not a database" * 100)
    Cache(tmp_path / "c.sqlite3").put("k", {"a": "1"})
    assert Cache(tmp_path / "c.sqlite3").all("k") == {"a": "1"}


def test_a_file_that_is_damaged_while_it_is_open_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    filled = Cache(path)
    filled.put("k", {str(number): "x" * 500 for number in range(200)})
    filled.close()
    cache = Cache(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    assert cache.get("k", ["1"]) == {}
    cache.put("k", {"new": "1"})


def test_several_open_a_new_file_at_once(tmp_path: Path) -> None:
    for turn in range(20):
        path, ready = tmp_path / f"{turn}.sqlite3", threading.Barrier(6)

        def keep(number: int, path: Path = path, ready: threading.Barrier = ready) -> None:
            ready.wait()
            Cache(path).put("k", {str(number): "x"})

        with ThreadPoolExecutor(6) as executor:
            list(executor.map(keep, range(6)))
        assert len(Cache(path).all("k")) == 6


def test_others_on_this_machine_cannot_read_it(tmp_path: Path) -> None:
    Cache(tmp_path / "c.sqlite3").put("k", {"a": "1"})
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_where_nothing_can_be_written_answers_live_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "c.sqlite3")
    cache.put("k", {"a": "1"})
    assert cache.get("k", ["a"]) == {"a": "1"}


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from comfy_capsule.packager.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for number in range(100): cache.put(sys.argv[2], {str(number): 'x'})"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "c.sqlite3")]
    running = [subprocess.Popen([*argv, kind]) for kind in ("a", "b")]
    assert [process.wait(60) for process in running] == [0, 0]
    cache = Cache(tmp_path / "c.sqlite3")
    assert len(cache.all("a")) == len(cache.all("b")) == 100


def test_it_begins_anew_when_it_has_grown_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.sqlite3"
    other = Cache(path)
    other.put("k", {str(number): "x" * 1000 for number in range(1000)})
    assert len(Cache(path).all("k")) == 1000
    monkeypatch.setattr("comfy_capsule.packager.cache._LARGEST", 3_000_000)
    assert Cache(path).all("k") == {}
    size = path.stat().st_size
    other.put("k", {str(number): "x" * 1000 for number in range(400)})
    assert len(Cache(path).all("k")) == 400, "what is small enough stays"
    assert path.stat().st_size <= size, "its room was used again"
