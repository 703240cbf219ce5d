"""A gateway under load: throughput with 32 clients, memory with 2,000 waiting executions, from start to listening.

Throughput is told as a share of ComfyUI's own: as many prompts put straight into its queue by one client, whose socket
tells it of the last one's end. Both go to the same ComfyUI, the gateway's own, by turns, each first in every second
turn. The figure is of all turns together, and these are many: every ten seconds ComfyUI stands still for 0.4, a quarter
of the turn that it falls into. Before each its output folder is emptied, for SaveImage lists that: what came first
would have it easier. Through the gateway each client waits for its picture and gets its bytes before it asks again.

``gateway-listen-s`` is the time until a connection is taken. It is answered once the rest is loaded, which is told
beside: like a service that its manager gives a socket to, it listens first, so that nobody is turned away.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench import bench_install  # noqa: E402
from bench.fake_comfyui import FakeComfyUI  # noqa: E402
from bench.gateway import blank_capsule, serving  # noqa: E402
from comfy_capsule.packager.capsule import write_capsule  # noqa: E402
from comfy_capsule.packager.comfy import free_port  # noqa: E402

CLIENTS, RUNS, TURNS = 32, 480, 20
WAITING = 2000
STARTS = 7


async def own_queue(session: aiohttp.ClientSession, base: str, first: int) -> float:
    """Seconds in which ComfyUI itself runs `RUNS` prompts that were put into its queue at once."""
    graph, client = blank_capsule().graph, uuid.uuid4().hex
    prompts = [str(uuid.uuid4()) for _ in range(RUNS)]
    async with session.ws_connect(f"{base}/ws?clientId={client}") as socket:
        ended = asyncio.create_task(told_of_end(socket, prompts[-1]))
        begun = time.perf_counter()
        for number, prompt in enumerate(prompts):
            mine: dict[str, Any] = copy.deepcopy(graph)
            mine["1"]["inputs"]["color"] = first + number
            body = {"prompt": mine, "prompt_id": prompt, "client_id": client}
            async with session.post(f"{base}/prompt", json=body) as answer:
                assert answer.status == 200, await answer.text()
        await ended
        return time.perf_counter() - begun


async def told_of_end(socket: aiohttp.ClientWebSocketResponse, prompt: str) -> None:
    """Returns once ComfyUI says that `prompt` has succeeded."""
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            said = json.loads(message.data)
            if said["type"] == "execution_success" and said["data"]["prompt_id"] == prompt:
                return
    raise AssertionError("the socket was closed")


async def through_gateway(session: aiohttp.ClientSession, url: str, first: int) -> float:
    """Seconds in which `CLIENTS` at once get `RUNS` pictures."""
    colors = iter(range(first, first + RUNS))

    async def client() -> None:
        for color in colors:
            async with session.post(f"{url}/workflows/blank?inline=true", json={"color": color}) as answer:
                document = await answer.json()
                assert answer.status == 200, document
                assert document["outputs"]["picture"][0]["data"]

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return time.perf_counter() - begun


async def throughput(base: str, url: str, written: Path) -> float:
    """The gateway's executions a second over ComfyUI's own. `written`: ComfyUI's output folder."""
    total = dict.fromkeys((own_queue, through_gateway), 0.0)
    ways = [(own_queue, base), (through_gateway, url)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS + 1)) as session:
        await through_gateway(session, url, 0)  # both are warm, then
        for turn in range(1, TURNS + 1):
            seconds = {}
            for number, (way, place) in enumerate(ways):
                empty(written)
                await asyncio.sleep(1)
                seconds[way] = await way(session, place, (2 * turn + number) * RUNS)
            ways.reverse()
            own, served = seconds[own_queue], seconds[through_gateway]
            print(f"own queue {RUNS / own:.0f}/s, gateway {RUNS / served:.0f}/s, {own / served:.3f}", file=sys.stderr)
            total = {way: total[way] + seconds[way] for way in total}
    return total[own_queue] / total[through_gateway]


def empty(folder: Path) -> None:
    """Remove what lies below `folder`, and no folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


async def waiting_memory(capsule: Path, folder: Path) -> float:
    """MB that a gateway holds while `WAITING` executions wait in it, behind one that does not end."""
    async with FakeComfyUI() as comfy:
        comfy.hold.clear()
        # What waits for the gateway waits in a thread: the stand-in answers it from this loop.
        serve = serving([capsule], comfy.url, folder, env={"COMFY_CAPSULE_DRAIN": "0"})
        gateway = await asyncio.to_thread(serve.__enter__)
        try:
            await asyncio.to_thread(gateway.wait_ready)
            async with aiohttp.ClientSession() as session:
                for color in range(WAITING + 2):
                    header = {"Prefer": "respond-async"}
                    place = f"{gateway.url}/workflows/blank"
                    async with session.post(place, json={"color": color}, headers=header) as answer:
                        assert answer.status == 202, await answer.text()
            status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        finally:
            await asyncio.to_thread(serve.__exit__, None, None, None)
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6


def listening(capsule: Path, folder: Path) -> tuple[float, float]:
    """Seconds from the start of ``comfy-capsule serve`` until a connection is taken, and until it is answered."""
    port = free_port()
    argv = [sys.executable, "-m", "comfy_capsule.packager.cli", "serve", str(capsule), "--comfy", str(bench_install())]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*argv, "--port", str(port), "--state", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while (asked := connection(port)) is None:
            assert process.poll() is None, "it has ended"
            time.sleep(0.002)
        taken = time.perf_counter() - begun
        with asked:
            asked.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert asked.recv(64).startswith(b"HTTP/1.1 200")
        return taken, time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(60)


def connection(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=30)
    except OSError:
        return None


def tell(name: str, value: float, unit: str, goal: str, met: bool) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met}), flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        capsule = folder / "blank.capsule.zip"
        write_capsule(blank_capsule(), capsule)
        held = asyncio.run(waiting_memory(capsule, folder / "waiting"))
        tell("gateway-waiting-mb", held, "MB", "<= 150", held <= 150)
        starts = [listening(capsule, folder / f"start-{number}") for number in range(STARTS)]
        print("taken, answered:", *(f"{taken:.3f} {answered:.3f}," for taken, answered in starts), file=sys.stderr)
        seconds = statistics.median(taken for taken, _ in starts)
        tell("gateway-listen-s", seconds, "s", "<= 0.5", seconds <= 0.5)
        with serving([capsule], bench_install(), folder / "load") as gateway:
            gateway.wait_ready()
            base = json.loads((gateway.state / "worker-0/process.json").read_text())["url"]
            ratio = asyncio.run(throughput(base, gateway.url, gateway.state / "worker-0/output"))
        tell("gateway-throughput-ratio", ratio, "ratio", ">= 0.95", ratio >= 0.95)


main()
