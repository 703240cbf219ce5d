"""A gateway in a process of its own, as a user starts it, and the smallest capsule to serve with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_capsule.packager.capsule import Capsule, ComfyUI, Lock, Platform
from comfy_capsule.packager.comfy import free_port
from comfy_capsule.packager.contract import Contract, Input, Output, Target


def blank_capsule(name: str = "blank", **more: Any) -> Capsule:
    """EmptyImage → SaveImage, with the inputs `color` and `size` and the output `picture`.

    Args:
        more: other values for the capsule's fields, e.g. ``graph``.
    """
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
            "_meta": {"title": "Blank"},
        },
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "some/blank"},
            "_meta": {"title": "Keep"},
        },
    }
    sides = (Target(node="1", input="width"), Target(node="1", input="height"))
    contract = Contract(
        name=name,
        inputs=(
            Input(
                name="color", type="integer", default=0, minimum=0, maximum=0xFFFFFF,
                targets=(Target(node="1", input="color"),),
            ),
            Input(name="size", type="integer", default=64, minimum=1, maximum=8192, targets=sides),
        ),
        outputs=(Output(name="picture", type="image", nodes=("2",)),),
    )  # fmt: skip
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name=name, platform=platform, comfyui=ComfyUI(version="0.30.0", kind="folder"))
    pylock = 'lock-version = "1.0"\ncreated-by = "bench"\npackages = []\n'
    fields: dict[str, Any] = {
        "lock": lock, "pylock": pylock, "workflow": {}, "graph": graph, "contract": contract,
        "object_info": {}, "files": {},
    }  # fmt: skip
    return Capsule(**{**fields, **more})


@dataclass
class Gateway:
    """A running gateway. `log` is where it writes; `state` its state folder."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    state: Path

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (decoded where it is JSON) and headers of one request."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(self.url + path, data, {**sent, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, _decoded(answer.headers, answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.headers, error.read()), dict(error.headers)

    def wait_ready(self, seconds: float = 300) -> None:
        """Wait until ``/readyz`` says yes."""
        answer = self.wait_for(lambda: self.ask("GET", "/readyz"), lambda found: found[0] == 200, seconds)
        assert answer[0] == 200, answer

    def wait_for(self, ask: Any, wanted: Any, seconds: float = 60) -> Any:
        """Ask again and again until the answer is `wanted`; the last answer."""
        end = time.monotonic() + seconds
        while not wanted(answer := ask()) and time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return answer


@contextmanager
def serving(
    capsules: Sequence[Path], comfy: str | Path, state: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """``comfy-capsule serve`` of `capsules` in front of `comfy`, listening; stopped by SIGTERM at the end."""
    port = free_port()
    state.mkdir(parents=True, exist_ok=True)
    log = state / "log.jsonl"
    argv = [sys.executable, "-m", "comfy_capsule.packager.cli", "serve", *map(str, capsules), "--comfy", str(comfy)]
    argv += ["--port", str(port), "--state", str(state), *arguments]
    with log.open("ab") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, env={**os.environ, **(env or {})})
    gateway = Gateway(f"http://127.0.0.1:{port}", process, log, state)
    try:
        gateway.wait_for(lambda: _listens(gateway), bool, 30)
        yield gateway
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _listens(gateway: Gateway) -> bool:
    try:
        return gateway.ask("GET", "/livez")[0] == 200
    except OSError:
        return False


def _decoded(headers: Mapping[str, str], body: bytes) -> Any:
    return json.loads(body) if "json" in headers.get("Content-Type", "") else body
