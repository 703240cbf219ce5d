"""Request → picture bytes: through the gateway, against ``comfy-api-proxy`` in front of the same ComfyUI.

Both stand in front of one ComfyUI by URL and take turns, each picture with a colour of its own. One client of the proxy
follows the job's events and fetches the picture when they say it succeeded; another asks again every few milliseconds,
for the events have stalls: so long that the first is left out once it has taken a minute. The proxy's figure is the
better of the two at each percentile.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from percentiles import percentile  # noqa: E402

from bench import bench_install, running  # noqa: E402
from bench.gateway import blank_capsule, serving  # noqa: E402
from bench.peers import peer  # noqa: E402
from comfy_capsule.packager.capsule import write_capsule  # noqa: E402
from comfy_capsule.packager.comfy import free_port  # noqa: E402

PEER = "comfy-api-proxy==0.1.6"
ROUNDS, WARM_UP = 200, 20
LONGEST = 60.0  # seconds of one way in all, warm-up and stalls included; the others end long before
EVERY = 0.003  # seconds between the polling client's questions
ENDED = frozenset({"succeeded", "failed", "canceled"})  # "expired" is also said of one that has not begun


@asynccontextmanager
async def proxied(comfy: str, state: Path) -> AsyncIterator[str]:
    """The proxy in front of `comfy`; its URL."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    argv = [str(peer(PEER) / "comfy-api-proxy"), "--comfyui", comfy, "--port", str(port), "--state-dir", str(state)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/api/v2/health") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    assert process.poll() is None, "the proxy has ended"
                    await asyncio.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)


async def submit(session: aiohttp.ClientSession, url: str, color: int) -> str:
    graph: dict[str, Any] = copy.deepcopy(blank_capsule().graph)
    graph["1"]["inputs"]["color"] = color
    async with session.post(f"{url}/api/v2/jobs", json={"workflow": graph}) as answer:
        job = await answer.json()
        assert answer.status in (200, 201, 202), job
        return str(job["id"])


async def picture(session: aiohttp.ClientSession, job: dict[str, Any]) -> bytes:
    assert job["status"] == "succeeded", job
    async with session.get(job["outputs"][0]["url"]) as answer:
        return await answer.read()


async def by_events(session: aiohttp.ClientSession, url: str, color: int) -> bytes:
    """Submit, follow the events until they tell the end, or end without it, fetch."""
    id = await submit(session, url, color)
    async with session.get(f"{url}/api/v2/jobs/{id}/events") as stream:
        async for line in stream.content:
            if line.startswith(b"data:"):
                told = json.loads(line[5:])
                if isinstance(told, dict) and told.get("status") in ENDED:
                    break
    return await asked_for(session, url, id)


async def by_asking(session: aiohttp.ClientSession, url: str, color: int) -> bytes:
    """Submit, ask until it has ended, fetch."""
    return await asked_for(session, url, await submit(session, url, color))


async def asked_for(session: aiohttp.ClientSession, url: str, id: str) -> bytes:
    while True:
        async with session.get(f"{url}/api/v2/jobs/{id}") as answer:
            job = await answer.json()
        if job["status"] in ENDED:
            return await picture(session, job)
        await asyncio.sleep(EVERY)


async def by_gateway(session: aiohttp.ClientSession, url: str, color: int) -> bytes:
    """One request; the picture comes in the answer."""
    async with session.post(f"{url}/workflows/blank?inline=true", json={"color": color}) as answer:
        document = await answer.json()
        assert answer.status == 200, document
        return base64.b64decode(document["outputs"]["picture"][0]["data"])


Way = Callable[[aiohttp.ClientSession, str, int], Awaitable[bytes]]


async def measure(gateway: str, comfy: str, state: Path) -> dict[str, list[float]]:
    """Seconds of each request, by way."""
    took: dict[str, list[float]] = {"gateway": [], "events": [], "asking": []}
    async with proxied(comfy, state) as proxy, aiohttp.ClientSession() as session:
        ways: dict[str, tuple[Way, str]] = {
            "gateway": (by_gateway, gateway), "events": (by_events, proxy), "asking": (by_asking, proxy),
        }  # fmt: skip
        color, spent = 0, dict.fromkeys(ways, 0.0)
        for turn in range(ROUNDS + WARM_UP):
            for name, (way, url) in ways.items():
                if spent[name] > LONGEST:
                    continue
                color += 1
                begun = time.perf_counter()
                data = await way(session, url, color)
                seconds = time.perf_counter() - begun
                spent[name] += seconds
                assert data[:4] == b"\x89PNG"
                if turn >= WARM_UP:
                    took[name].append(seconds)
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        capsule = folder / "blank.capsule.zip"
        write_capsule(blank_capsule(), capsule)
        with running(bench_install()) as comfy, serving([capsule], comfy.base_url, folder / "gateway") as gateway:
            gateway.wait_ready()
            took = asyncio.run(measure(gateway.url, comfy.base_url, folder / "proxy"))
    assert len(took["gateway"]) == len(took["asking"]) == ROUNDS, "the longest was too short"
    counted = ", ".join(f"{len(values)} {name}" for name, values in took.items())
    print(f"{counted} after the warm-up", file=sys.stderr)

    def at(percent: int) -> tuple[float, float]:
        """Milliseconds at a percentile: the gateway's, and the better of the proxy's."""
        ours, *theirs = (percentile(values, percent) * 1000 for values in took.values() if len(values) > 1)
        return ours, min(theirs)

    ahead = all(ours < theirs for ours, theirs in map(at, range(1, 100)))
    for percent in (50, 99):
        ours, theirs = at(percent)
        print(f"p{percent}: gateway {ours:.2f} ms, proxy {theirs:.2f} ms", file=sys.stderr)
        ratio = round(ours / theirs, 3)
        figure = {"name": f"gateway-vs-proxy-p{percent}", "value": ratio, "unit": "ratio", "goal": "< 1"}
        print(json.dumps({**figure, "met": ratio < 1 and ahead}))
    print(f"ahead at every percentile: {'yes' if ahead else 'no'}", file=sys.stderr)


main()
