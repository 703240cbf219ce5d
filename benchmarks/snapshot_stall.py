"""``snapshot-loop-stall-ms``: how long ComfyUI's own ``GET /system_stats`` waits while a cold snapshot runs inside it.

A real ComfyUI with our pack, models of a few GiB in the graph, nothing remembered; the snapshot is started as the panel
starts it. A request goes out every 10 ms, answered or not, so that a long stall counts for all that it holds up; the
99th of 100. What it is without a snapshot, and the longest, go to standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from percentiles import percentile  # noqa: E402

from bench import cache_root, fresh_install, running  # noqa: E402
from browser.packs import clone_ourselves, install_requirements, publish_ourselves  # noqa: E402
from comfy_capsule.packager.command import run  # noqa: E402
from comfy_capsule.packager.uv import find_uv  # noqa: E402

GIB, MODELS, EVERY, GOAL = 1 << 30, 4, 0.01, 50
HEADERS = {"X-Comfy-Capsule": "1"}


def comfyui(place: Path) -> Path:
    """A ComfyUI with our pack, installed as the README says, and the models."""
    folder = fresh_install(place / "ComfyUI")
    clone_ourselves(publish_ourselves(place), folder)
    install_requirements(folder)
    for number in range(MODELS):
        with (folder / "models/upscale_models" / f"large-{number}.safetensors").open("wb") as file:
            for _ in range(16):
                file.write(os.urandom(GIB // 16))
            os.fsync(file.fileno())
    return folder


async def waits(session: aiohttp.ClientSession, base: str, until: Awaitable[Any]) -> tuple[list[float], Any]:
    """The milliseconds that each request waited, while `until` went on; and what that gave."""
    found: list[float] = []

    async def ask() -> None:
        begun = time.perf_counter()
        async with session.get(f"{base}/system_stats") as answer:
            await answer.read()
            assert answer.status == 200
        found.append((time.perf_counter() - begun) * 1000)

    other = asyncio.ensure_future(until)
    asked, next_time = [], time.perf_counter()
    while not other.done():
        asked.append(asyncio.create_task(ask()))
        next_time += EVERY
        await asyncio.sleep(max(0.0, next_time - time.perf_counter()))
    await asyncio.gather(*asked)
    return found, await other


async def snapshot(session: aiohttp.ClientSession, base: str) -> dict[str, Any]:
    """Start one and wait for it, as the command does."""
    loaders = {
        str(number): {"class_type": "UpscaleModelLoader", "inputs": {"model_name": f"large-{number}.safetensors"}}
        for number in range(MODELS)
    }
    async with session.post(f"{base}/capsule/snapshot", json={"api": loaders}, headers=HEADERS) as answer:
        task = (await answer.json())["task"]
    while True:
        await asyncio.sleep(0.2)
        async with session.get(f"{base}/capsule/tasks/{task}") as answer:
            view: dict[str, Any] = await answer.json()
        if view["state"] not in ("queued", "running"):
            assert view["state"] == "succeeded", view["error"]
            assert len(view["result"]["lock"]["models"]) == MODELS
            return view


async def measure(base: str) -> float:
    """Milliseconds."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        idle, _ = await waits(session, base, asyncio.sleep(5))
        begun = time.perf_counter()
        busy, _ = await waits(session, base, snapshot(session, base))
        seconds = time.perf_counter() - begun
    for name, values in (("idle", idle), (f"snapshot of {seconds:.1f} s", busy)):
        shown = ", ".join(f"p{percent} {percentile(values, percent):.1f}" for percent in (50, 90, 99))
        print(f"{name}: {len(values)} requests, {shown}, max {max(values):.1f} ms", file=sys.stderr)
    return percentile(busy, 99)


def main() -> int:
    with tempfile.TemporaryDirectory(dir=cache_root()) as scratch:
        place = Path(scratch)
        folder = comfyui(place)
        # Our own cache is empty; uv keeps its own, so that the network is not what is measured.
        kept = {"XDG_CACHE_HOME": str(place / "cache"), "UV_CACHE_DIR": run([find_uv(), "cache", "dir"]).strip()}
        with running(folder, env=kept) as comfy:
            value = round(asyncio.run(measure(comfy.base_url)), 1)
    print(f"load {os.getloadavg()[0]}", file=sys.stderr)
    met = value <= GOAL
    print(
        json.dumps({"name": "snapshot-loop-stall-ms", "value": value, "unit": "ms", "goal": f"<= {GOAL}", "met": met})
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
