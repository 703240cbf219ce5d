"""The main job end to end, as a user would do it: `make demo`.

A real ComfyUI → capsule → served, built into an image, restored elsewhere → three identical pictures. Everything it
makes stands in the bench's cache (see CONTRIBUTING.md), nothing in this clone.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from bench import PICTURE, UPSCALE, bench_install, cache_root, example_picture
from bench.baseimage import TAG as BASE
from bench.baseimage import base_image
from bench.engine import Engine, engine
from comfy_capsule.packager.errors import CapsuleError

COMMAND = str(Path(sys.executable).with_name("comfy-capsule"))
TAG = "comfy-capsule-demo:latest"
PARAMETERS = {"strength": 0.75, "levels": 32}
WAIT = 240  # seconds, for any of the servers to be ready


@dataclass
class Call:
    """One call of the API: its answer's first output, decoded, and how long it took."""

    pixels: bytes
    size: tuple[int, int]
    milliseconds: int


class Demo:
    """The steps, each printed with its time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.capsule = folder / "upscale.capsule.zip"
        self.models = bench_install() / "models"
        self.rows: list[tuple[str, str]] = []
        self.started = time.monotonic()

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        print(f"{words} …", flush=True)
        begun = time.monotonic()
        yield
        print(f"    {time.monotonic() - begun:.1f} s", flush=True)

    def row(self, name: str, value: object) -> None:
        self.rows.append((name, str(value)))

    def table(self) -> None:
        width = max(len(name) for name, _ in self.rows) + 1
        print("\n" + "\n".join(f"{name + ':':<{width}} {value}" for name, value in self.rows))


def command(*words: str | Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run ``comfy-capsule WORDS --json`` and return its answer."""
    argv = [COMMAND, *map(str, words), "--json"]
    done = subprocess.run(argv, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, check=False)
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    if done.returncode != 0:
        sys.exit(f"`comfy-capsule {words[0]}` exited with {done.returncode}: {json.dumps(answer, indent=1)[-3000:]}")
    return answer


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(capsule: Path, comfy: Path, state: Path) -> Iterator[str]:
    """``comfy-capsule serve`` on a free port; gives its address when it is ready."""
    port = free_port()
    words = ["serve", capsule, "--comfy", comfy, "--port", port, "--state", state]
    with (state.parent / f"{state.name}.log").open("wb") as log:
        process = subprocess.Popen([COMMAND, *map(str, words)], stdout=log, stderr=log)
        try:
            yield ready(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait(60)


def ready(address: str, process: subprocess.Popen[bytes] | None = None) -> str:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            sys.exit(f"The gateway ended with {process.returncode}.")
        try:
            if requests.get(f"{address}/readyz", timeout=5).ok:
                return address
        except requests.RequestException:
            pass
        time.sleep(0.2)
    sys.exit(f"{address} was not ready within {WAIT} s.")


def call(address: str, key: str = "", **parameters: float) -> Call:
    """The same request everywhere: the picture by multipart, the numbers as fields, the result's bytes."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    uploads = {"picture": (PICTURE, example_picture(), "image/png")}
    begun = time.monotonic()
    wait = headers | {"Prefer": "wait=120"}
    url = f"{address}/workflows/upscale"
    answer = requests.post(url, data={**PARAMETERS, **parameters}, files=uploads, headers=wait, timeout=180)
    if answer.status_code != 200:
        sys.exit(f"The API answered {answer.status_code}: {answer.text[:2000]}")
    output = answer.json()["outputs"]["image"][0]
    data = requests.get(address + output["url"], headers=headers, timeout=60).content
    taken = round((time.monotonic() - begun) * 1000)
    with Image.open(io.BytesIO(data)) as picture:
        return Call(picture.convert("RGB").tobytes(), picture.size, taken)


@contextmanager
def container(docker: Engine, tag: str) -> Iterator[tuple[str, str]]:
    """The image as an operations team runs it, when it is healthy: its address and API key.

    No root, nothing writable but its state, no capability; ready means that the image's own health check says so.
    """
    port, key = free_port(), secrets.token_urlsafe(24)
    limits = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words = ["run", "-d", *limits, "-e", "COMFY_CAPSULE_API_KEYS", "-p", f"127.0.0.1:{port}:8000", tag]
    environment = {**os.environ, **docker.environment, "COMFY_CAPSULE_API_KEYS": key}
    done = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=True)
    name = done.stdout.strip()
    try:
        end = time.monotonic() + WAIT
        while (state := docker.docker("inspect", "-f", "{{.State.Health.Status}}", name).strip()) != "healthy":
            if time.monotonic() > end:
                sys.exit(f"The container is {state}, not healthy: {docker.docker('logs', name)[-3000:]}")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", key
    finally:
        docker.docker("rm", "--force", "--volumes", name)


def run(demo: Demo, docker: Engine | None, why_not: str) -> bool:
    comfy = bench_install()
    with demo.step("export: the ComfyUI is booted once, its workflow sealed"):
        made = command(
            "export", "--comfy", comfy, "--workflow", UPSCALE.ui_path, "--api", UPSCALE.api_path, "-o", demo.capsule
        )
    lock, contract = made["lock"], made["contract"]
    demo.row("capsule", f"{made['id']}  {demo.capsule} ({demo.capsule.stat().st_size // 1024} KiB)")
    demo.row(
        "pinned", f"{made['distributions']} distributions, {len(lock['packs'])} packs, {len(lock['models'])} model"
    )
    demo.row("contract", ", ".join(f"{item['name']}: {item['type']}" for item in contract["inputs"]) + " → image")
    calls = {}
    with demo.step("serve: the capsule as a web API in front of that ComfyUI"):
        with served(demo.capsule, comfy, demo.folder / "serve") as address:
            for levels in (16, 24):  # loads the model; other values, so that the next one is no cached answer
                call(address, levels=levels)
            calls["served"] = call(address)
    demo.row("API call", f"POST /workflows/upscale {calls['served'].milliseconds} ms, {calls['served'].size} pixels")
    if docker is None:
        with demo.step("build: no container engine, so only the build context"):
            command("build", demo.capsule, "--context-only", demo.folder / "context", "--models-from", demo.models)
        demo.row("image", f"not built ({why_not}); its build context is in {demo.folder / 'context'}")
    else:
        with demo.step("build: a container image that serves the capsule"):
            base_image(docker)
            words = ["build", demo.capsule, "-t", TAG, "--base", BASE, "--models-from", demo.models]
            image = command(*words, environment=docker.environment)
        demo.row("image", f"{image['digest']}  {TAG}")
        with demo.step("run: the container until it is healthy, and the same call"):
            with container(docker, TAG) as (address, key):
                calls["image"] = call(address, key)
    restored = demo.folder / "ComfyUI-restored"
    with demo.step("restore: a new ComfyUI from the capsule alone, proved"):
        done = command("restore", demo.capsule, "--into", restored, "--trust", "--models-from", demo.models)
    with demo.step("serve: the same call, on the restored ComfyUI"):
        with served(demo.capsule, restored, demo.folder / "serve-restored") as address:
            calls["restored"] = call(address)
    demo.row("restored", f"{restored} ({len(done['table']['rows'])} things compared, all equal)")
    same = len({(item.size, item.pixels) for item in calls.values()}) == 1
    demo.row("outputs identical", "yes" if same else "NO")
    demo.row("compared", ", ".join(calls))
    return same


def main() -> None:
    folder = cache_root() / "demo"
    print("bench: a real ComfyUI 0.30.0 with packs and models, from the package index …", flush=True)
    begun = time.monotonic()
    bench_install()
    print(f"    {time.monotonic() - begun:.1f} s", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        docker, why_not = None, ""
        try:
            docker = stack.enter_context(engine())
        except CapsuleError as error:
            why_not = error.message
        demo = Demo(folder)
        same = run(demo, docker, why_not)
    demo.row("time", f"{time.monotonic() - begun:.0f} s")
    demo.table()
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
