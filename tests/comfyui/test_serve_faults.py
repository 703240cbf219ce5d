"""What goes wrong inside a real ComfyUI behind a gateway: it is told as what it is, and the next run works."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import pixels
from bench.chaos import counting_install, trouble_capsule
from bench.gateway import Gateway, serving
from comfy_capsule.packager.capsule import write_capsule

SETTINGS = {"STALL": "3", "CANCEL_GRACE": "2", "MEMORY_LIMIT": str(3 << 30), "LEASE": "3", "RECYCLE_AFTER": "0"}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counting_install(tmp_path_factory.mktemp("troubled") / "ComfyUI")


@pytest.fixture(scope="module")
def served(troubled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    write_capsule(trouble_capsule(), folder / "trouble.capsule.zip")
    environment = {f"COMFY_CAPSULE_{name}": value for name, value in SETTINGS.items()}
    with serving([folder / "trouble.capsule.zip"], troubled, folder / "state", env=environment) as gateway:
        gateway.wait_ready()
        yield gateway


def run(gateway: Gateway, kind: str, **headers: str) -> tuple[int, Any]:
    status, told, _ = gateway.ask("POST", "/workflows/trouble", {"kind": kind}, {"Prefer": "wait=100", **headers})
    return status, told


def pid_of(gateway: Gateway, number: int = 0) -> int:
    return int(json.loads((gateway.state / f"worker-{number}" / "process.json").read_text())["pid"])


def works(gateway: Gateway) -> bool:
    gateway.wait_ready(120)
    status, told = run(gateway, "none")
    return status == 200 and told["state"] == "succeeded"


@pytest.mark.parametrize(
    ("kind", "status", "code", "replaced"),
    [
        ("sleeps", 504, "stalled", False),
        ("deaf", 504, "stalled", True),
        ("allocates", 500, "out-of-memory", True),
        ("exits", 503, "worker-died", True),
        ("gpu", 500, "gpu-failed", True),
        ("memory", 500, "out-of-memory", False),
    ],
)
def test_trouble_is_told_as_what_it_is_and_the_next_run_works(
    served: Gateway, kind: str, status: int, code: str, replaced: bool
) -> None:
    assert works(served)
    before = pid_of(served)
    answered, problem = run(served, kind)
    assert (answered, problem["code"]) == (status, code), problem
    assert works(served)
    assert (pid_of(served) != before) == replaced


def test_a_deaf_node_is_cancelled_by_replacing_its_comfyui(served: Gateway) -> None:
    assert works(served)
    before = pid_of(served)
    _, made = run(served, "deaf", Prefer="respond-async")
    place = f"/executions/{made['id']}"
    served.wait_for(lambda: served.ask("GET", place)[1]["state"], lambda state: state == "running")
    time.sleep(0.5)
    status, told, _ = served.ask("POST", f"{place}/cancel")
    assert (status, told["state"]) == (200, "cancelled"), told
    assert works(served)
    assert pid_of(served) != before


def test_what_waits_behind_a_killed_comfyui_is_run(served: Gateway) -> None:
    assert works(served)
    _, first = run(served, "sleeps", Prefer="respond-async")
    waiting = [run(served, "none", Prefer="respond-async")[1]["id"] for _ in range(3)]
    served.wait_for(lambda: served.ask("GET", f"/executions/{first['id']}")[1]["state"], lambda it: it == "running")
    os.kill(pid_of(served), signal.SIGKILL)
    served.wait_for(lambda: served.ask("POST", f"/executions/{first['id']}/cancel")[0], lambda it: it in (200, 409))
    for id in waiting:
        state = served.wait_for(
            lambda id=id: served.ask("GET", f"/executions/{id}")[1]["state"], lambda it: it not in ("queued", "running")
        )
        assert state == "succeeded"


def test_previews_of_a_real_node_are_shown(served: Gateway) -> None:
    assert works(served)
    status, made, _ = served.ask("POST", "/workflows/trouble?previews=true", {"kind": "previews"}, {"Prefer": "wait=0"})
    assert status == 202
    status, data, headers = served.wait_for(
        lambda: served.ask("GET", f"/executions/{made['id']}/preview"), lambda answer: answer[0] == 200, 20
    )
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert pixels(data)[1] == (64, 64)
    ended = served.wait_for(lambda: served.ask("GET", f"/executions/{made['id']}")[1], lambda it: it["finished_at"])
    assert ended["state"] == "succeeded"


def test_two_comfyuis_run_two_things_at_once_and_are_replaced_after_some(troubled: Path, tmp_path: Path) -> None:
    write_capsule(trouble_capsule(), tmp_path / "trouble.capsule.zip")
    environment = {"COMFY_CAPSULE_WORKERS": "2", "COMFY_CAPSULE_RECYCLE_AFTER": "4"}
    with serving([tmp_path / "trouble.capsule.zip"], troubled, tmp_path / "state", env=environment) as gateway:
        active = gateway.wait_for(
            lambda: gateway.ask("GET", "/metrics")[1], lambda text: b"active_workers 2.0" in text, 180
        )
        assert b"active_workers 2.0" in active
        pids = {pid_of(gateway, 0), pid_of(gateway, 1)}
        assert len(pids) == 2
        ids = [run(gateway, "previews", Prefer="respond-async")[1]["id"] for _ in range(2)]
        gateway.wait_for(
            lambda: [gateway.ask("GET", f"/executions/{id}")[1].get("progress", {}).get("value") for id in ids], all, 20
        )
        for _ in range(12):
            assert run(gateway, "none")[0] == 200
        gateway.wait_for(lambda: {pid_of(gateway, 0), pid_of(gateway, 1)} & pids, lambda kept: len(kept) < 2, 60)
        assert len({pid_of(gateway, 0), pid_of(gateway, 1)} & pids) < 2
