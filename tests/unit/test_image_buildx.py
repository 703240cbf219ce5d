"""What BuildKit says of a build becomes progress and, when it fails, one sentence; a cancelled build ends."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.image.buildx import BuildStatus, run_buildx, short_step, status_objects
from comfy_capsule.packager.progress import Progress


def step(digest: str, name: str, **more: Any) -> dict[str, Any]:
    return {"vertexes": [{"digest": digest, "name": name, **more}]}


def log(digest: str, text: str) -> dict[str, Any]:
    return {"logs": [{"vertex": digest, "stream": 2, "data": base64.b64encode(text.encode()).decode()}]}


START, END = {"started": "2026-01-01T00:00:00Z"}, {"started": "…", "completed": "…"}
RUN = "[environment 1/4] RUN --mount=type=cache uv pip sync lock"


def fed(status: BuildStatus, *said: dict[str, Any]) -> list[Progress]:
    return [event for one in said for event in status.feed(one)]


def test_steps_are_counted_once_and_named_shortly() -> None:
    status = BuildStatus()
    events = fed(
        status,
        step("a", "[internal] load build definition from Dockerfile", **END),
        step("b", RUN),
        step("c", "[os 1/2] FROM debian"),
        step("c", "[os 1/2] FROM debian", **END),
        step("c", "[os 1/2] FROM debian", **END),
        step("b", RUN, **START),
        step("b", RUN, **END),
    )
    assert [(event.item, event.done, event.total) for event in events] == [
        ("environment 1/4: RUN", 0, 1),
        ("os 1/2: FROM", 0, 2),
        ("os 1/2: FROM", 1, 2),
        ("environment 1/4: RUN", 1, 2),
        ("environment 1/4: RUN", 2, 2),
    ]
    assert {event.phase for event in events} == {"build"}


def test_a_name_that_is_no_step_keeps_its_first_words() -> None:
    assert short_step("exporting to image") == "exporting to image"


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_objects_are_read_wherever_the_stream_is_cut(size: int) -> None:
    objects = [step("b", '[os 1/2] a } \\ " { b'), log("b", "x\n{\n")]
    text = "warning: {odd\n".replace("{", "") + "\n".join(json.dumps(one, indent=2) for one in objects) + "\n"

    def chunks() -> Iterator[str]:
        yield from (text[start : start + size] for start in range(0, len(text), size))

    assert list(status_objects(chunks())) == objects


def test_bytes_that_a_step_moves_are_told_and_what_it_prints_is_kept() -> None:
    written = io.StringIO()
    status = BuildStatus(written)
    moved = {"vertex": "b", "id": "sha256:ab", "current": 5, "total": 10}
    said = fed(status, step("b", "[os 1/2] FROM x", **START), {"statuses": [moved, {**moved, "total": 0}]})
    assert [(event.done, event.total, event.unit) for event in said if event.unit == "bytes"] == [(5, 10, "bytes")]
    fed(status, log("b", "got https://me:secret@index/x\n\nand more\n"))
    assert written.getvalue() == "os 1/2: FROM | got https://index/x\nos 1/2: FROM | and more\n"


@pytest.mark.parametrize("size", [1, 9, 20, 1000])
def test_what_is_printed_is_read_by_whole_lines_wherever_it_is_cut(size: int) -> None:
    written = io.StringIO()
    status = BuildStatus(written)
    text = "got https://me:secret@index/é\nand https://me:secret@index/y"
    fed(status, step("b", "[os 1/2] FROM x", **START))
    data = text.encode()
    for start in range(0, len(data), size):
        piece = base64.b64encode(data[start : start + size]).decode()
        fed(status, {"logs": [{"vertex": "b", "stream": 2, "data": piece}]})
    status.close()
    assert written.getvalue() == "os 1/2: FROM | got https://index/é\nos 1/2: FROM | and https://index/y\n"


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    written = io.StringIO()
    status = BuildStatus(written)
    fed(status, step("b", "[os 1/2] FROM x", **START), *[log("b", "." * 10_000)] * 20)
    assert len(written.getvalue()) > 100_000


def test_a_failed_step_is_named_with_the_end_of_what_it_said() -> None:
    status = BuildStatus()
    fed(status, step("b", RUN, **START), log("b", "Resolved\nerror: https://me:secret@index/x gives 404\n"))
    fed(status, step("b", RUN, **END, error="process did not complete successfully: exit code: 2"))
    failure = status.failure()
    assert failure.code == "build-failed"
    assert failure.message.startswith("The step `environment 1/4: RUN` failed: Resolved\nerror: ")
    assert "secret" not in failure.message


def test_a_failed_proof_says_what_differs() -> None:
    status = BuildStatus()
    name = "[proof 1/1] RUN --network=none python -m proof"
    fed(status, step("p", name, **START), log("p", "The node class Tint is missing.\n"))
    fed(status, step("p", name, **END, error="exit code: 1"))
    assert status.failure().code == "proof-failed"
    assert "The node class Tint is missing." in status.failure().message


def test_a_full_disk_is_said_as_such(tmp_path: Path) -> None:
    status = BuildStatus()
    fed(status, step("b", RUN, **START), log("b", "cp: error writing 'x': No space left on device\n"))
    fed(status, step("b", RUN, **END, error="process did not complete successfully: exit code: 1"))
    assert status.failure().code == "disk-full"
    said = "ERROR: failed to solve: write /var/lib/x: no space left on device"
    argv = stand_in(tmp_path, f"print({said!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(CapsuleError) as caught:
        run_buildx(argv, {}, lambda _: None)
    assert caught.value.code == "disk-full"


def test_a_broken_cache_of_the_engine_is_said_with_its_cure() -> None:
    status = BuildStatus()
    fed(status, step("b", "exporting to image", **START))
    fed(status, step("b", "exporting to image", **END, error="failed to get layer sha256:1f: layer does not exist"))
    failure = status.failure()
    assert failure.code == "engine-cache-broken"
    assert "docker builder prune --all" in failure.cure


def stand_in(tmp_path: Path, body: str) -> list[str]:
    script = tmp_path / "buildx.py"
    script.write_text(
        f"import json, os, sys, time\nsay = lambda o: print(json.dumps(o), file=sys.stderr, flush=True)\n{body}"
    )
    return [sys.executable, str(script)]


def test_a_build_that_ends_before_any_step_says_why(tmp_path: Path) -> None:
    argv = stand_in(tmp_path, "print('ERROR: unknown flag', file=sys.stderr); sys.exit(1)")
    with pytest.raises(CapsuleError) as caught:
        run_buildx(argv, {}, lambda _: None)
    assert caught.value.code == "build-failed"
    assert caught.value.message == "docker buildx build failed: unknown flag"


def test_cancel_ends_the_build(tmp_path: Path) -> None:
    argv = stand_in(
        tmp_path,
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "say({'vertexes': [{'digest': 'a', 'name': '[os 1/2] RUN x'}]})\ntime.sleep(60)",
    )

    def cancel(_: Progress) -> None:
        raise Cancelled

    started = time.monotonic()
    with pytest.raises(Cancelled):
        run_buildx(argv, {}, cancel)
    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
