"""A gateway's process with the world against it: cut sockets, full disk, held store, a clock that jumps, deaf clients.

It stands in front of a real ComfyUI that stays well; `tests/parts/test_gateway_adversity.py` has more of each, faster.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bench import RunningComfy, running
from bench.chaos import counting_install, trouble_capsule
from bench.disk import small_disk
from bench.gateway import Gateway, serving
from bench.system import faketime
from comfy_capsule.packager.capsule import write_capsule


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningComfy]:
    with running(counting_install(tmp_path_factory.mktemp("well") / "ComfyUI")) as comfy:
        yield comfy


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    write_capsule(trouble_capsule(), tmp_path / "trouble.capsule.zip")
    return tmp_path / "trouble.capsule.zip"


def run(gateway: Gateway, kind: str = "none", wait: str = "wait=60") -> tuple[int, Any]:
    status, told, _ = gateway.ask("POST", "/workflows/trouble", {"kind": kind}, {"Prefer": wait})
    return status, told


def works_again(gateway: Gateway) -> None:
    assert gateway.wait_for(lambda: run(gateway), lambda answer: answer[0] == 200, 30)[1]["state"] == "succeeded"


def is_running(gateway: Gateway, id: str) -> None:
    told = gateway.wait_for(lambda: gateway.ask("GET", f"/executions/{id}")[1], lambda it: it["state"] != "queued")
    assert told["state"] == "running"


def ended(gateway: Gateway, id: str) -> Any:
    return gateway.wait_for(lambda: gateway.ask("GET", f"/executions/{id}")[1], lambda it: it["finished_at"])


def times_run(comfy: RunningComfy) -> int:
    with urllib.request.urlopen(f"{comfy.base_url}/history", timeout=20) as answer:
        return len(json.load(answer))


class Wire:
    """A way to `port` of this machine that can be cut; ``url`` is its near end."""

    def __init__(self, port: int) -> None:
        self._port, self._open = port, list[socket.socket]()
        self._near = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._near.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._near.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> int:
        """Every connection ends at once; how many there were."""
        cut, self._open = self._open, []
        for each in cut:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        return len(cut) // 2

    def close(self) -> None:
        self._near.close()
        self.cut()


def test_a_socket_that_is_cut_loses_no_run_and_repeats_none(well: RunningComfy, capsule: Path, tmp_path: Path) -> None:
    wire = Wire(int(well.base_url.rpartition(":")[2]))
    with serving([capsule], wire.url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        before = times_run(well)
        _, made = run(gateway, "naps", "respond-async")
        is_running(gateway, made["id"])
        for _ in range(3):
            time.sleep(0.5)
            assert wire.cut(), "nothing was connected"
        told = ended(gateway, made["id"])
        assert (told["state"], told["attempts"]) == ("succeeded", 1), told
        assert times_run(well) == before + 1
    wire.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6, lazily=True) as place:
        yield place


def test_a_full_disk_is_told_and_survived(well: RunningComfy, capsule: Path, disk: Path) -> None:
    """Its own log lies there too."""
    with serving([capsule], well.base_url, disk / "state") as gateway:
        gateway.wait_ready()
        assert run(gateway)[0] == 200
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * (12 << 20))
        status, problem, _ = gateway.ask("POST", "/files", b"y" * 300_000)
        assert (status, problem["code"]) == (503, "store-failed")
        codes = {"" if status == 200 else told["code"] for status, told in (run(gateway) for _ in range(12))}
        assert codes - {""} <= {"store-failed", "output-missing"}, "each is told as what it is"
        assert gateway.ask("GET", "/livez")[0] == 200
        filler.unlink()
        works_again(gateway)


def test_a_store_that_somebody_holds_is_told_and_let_go_used_again(
    well: RunningComfy, capsule: Path, tmp_path: Path
) -> None:
    with serving([capsule], well.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        held = sqlite3.connect(tmp_path / "state/gateway.sqlite", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        status, problem = run(gateway)
        assert (status, problem["code"]) == (503, "store-failed")
        held.execute("ROLLBACK")
        held.close()
        works_again(gateway)


@pytest.mark.parametrize("jump", ["+5h", "-5h"])
def test_a_clock_that_jumps_runs_nothing_twice(well: RunningComfy, capsule: Path, tmp_path: Path, jump: str) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(faketime()), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1", "COMFY_CAPSULE_LEASE": "1",
    }  # fmt: skip
    with serving([capsule], well.base_url, tmp_path / "state", env=environment) as gateway:
        gateway.wait_ready()
        before = times_run(well)
        ids = [run(gateway, kind, "respond-async")[1]["id"] for kind in ("naps", "none", "none")]
        is_running(gateway, ids[0])
        clock.write_text(f"{jump}\n")
        after = [ended(gateway, id) for id in ids]
        assert [(told["state"], told["attempts"]) for told in after] == [("succeeded", 1)] * 3
        assert times_run(well) == before + 3
        moved = datetime.fromisoformat(json.loads(gateway.log.read_text().splitlines()[-1])["time"]).timestamp()
        assert abs(moved - time.time()) > 4 * 3600, "its clock did not jump"


def test_clients_that_do_not_read_hold_nobody_up(well: RunningComfy, capsule: Path, tmp_path: Path) -> None:
    with serving([capsule], well.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        status, stored, _ = gateway.ask("POST", "/files", os.urandom(1 << 20) * 20)
        assert status == 201
        host, port = gateway.url.removeprefix("http://").split(":")
        deaf = [socket.create_connection((host, int(port))) for _ in range(8)]
        for each in deaf:
            each.sendall(f"GET /files/{stored['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began = time.monotonic()
        assert [run(gateway)[0] for _ in range(10)] == [200] * 10
        assert time.monotonic() - began < 10
        for each in deaf:
            each.close()
