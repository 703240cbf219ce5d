"""Request → picture bytes: through the gateway, against a hand-written websocket client on the same ComfyUI.

Both clients live in this process and take turns, so that whatever else the machine does meets both. Each picture
has a colour of its own, so ComfyUI computes and saves every one. Before each of its garbage collections (every ten
seconds at most, some 50 to 600 ms) ComfyUI answers nobody; that is in both figures. The figures are those of the
quietest of several turns, each with a gateway and a ComfyUI of its own: the one where the client by hand was fastest.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from percentiles import percentile  # noqa: E402

from bench import bench_install, running  # noqa: E402
from bench.gateway import blank_capsule, serving  # noqa: E402
from comfy_capsule.packager.capsule import write_capsule  # noqa: E402

ROUNDS, WARM_UP = 400, 40
TURNS = 3


async def direct(session: aiohttp.ClientSession, socket: Any, client: str, base: str, graph: dict[str, Any]) -> bytes:
    """What a careful person writes: submit, listen until it ends, ask the history, fetch the file."""
    prompt = str(uuid.uuid4())
    body = {"prompt": graph, "prompt_id": prompt, "client_id": client}
    async with session.post(f"{base}/prompt", json=body) as answer:
        assert answer.status == 200, await answer.text()
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            event = json.loads(message.data)
            data = event.get("data", {})
            if event["type"] == "executing" and data.get("node") is None and data.get("prompt_id") == prompt:
                break
    async with session.get(f"{base}/history/{prompt}") as answer:
        entry = (await answer.json())[prompt]
    picture = entry["outputs"]["2"]["images"][0]
    async with session.get(f"{base}/view", params=picture) as answer:
        return await answer.read()


async def through_gateway(session: aiohttp.ClientSession, url: str, color: int) -> bytes:
    """One request; the picture comes in the answer."""
    async with session.post(f"{url}/workflows/blank?inline=true", json={"color": color}) as answer:
        document = await answer.json()
        assert answer.status == 200, document
        return base64.b64decode(document["outputs"]["picture"][0]["data"])


async def measure(base: str, url: str) -> tuple[list[float], list[float]]:
    """Seconds of each request: by hand, through the gateway."""
    graph, client = blank_capsule().graph, uuid.uuid4().hex
    by_hand: list[float] = []
    served: list[float] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{base}/ws?clientId={client}") as socket:
        for turn in range(ROUNDS + WARM_UP):
            mine = copy.deepcopy(graph)
            mine["1"]["inputs"]["color"] = 2 * turn
            begun = time.perf_counter()
            first = await direct(session, socket, client, base, mine)
            middle = time.perf_counter()
            second = await through_gateway(session, url, 2 * turn + 1)
            end = time.perf_counter()
            assert first[:4] == second[:4] == b"\x89PNG"
            if turn >= WARM_UP:
                by_hand.append(middle - begun)
                served.append(end - middle)
    return by_hand, served


def main() -> None:
    """The figures are those of a ComfyUI that the gateway started, as in an image; attached to one is told beside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blank.capsule.zip"
        write_capsule(blank_capsule(), path)
        with running(bench_install()) as comfy, serving([path], comfy.base_url, Path(folder) / "attached") as gateway:
            gateway.wait_ready()
            show("attached", *asyncio.run(measure(comfy.base_url, gateway.url)))
        turns = []
        for turn in range(TURNS):
            with serving([path], bench_install(), Path(folder) / f"own-{turn}") as gateway:
                gateway.wait_ready()
                base = json.loads((gateway.state / "worker-0" / "process.json").read_text())["url"]
                by_hand, served = asyncio.run(measure(base, gateway.url))
                turns.append((percentile(by_hand, 50), show("own", by_hand, served)))
    ratios = min(turns, key=lambda turn: turn[0])[1]
    for percent, goal in ((50, 1.2), (99, 2.0)):
        ratio = ratios[percent]
        figure = {"name": f"gateway-p{percent}-ratio", "value": ratio, "unit": "ratio", "goal": f"<= {goal:g}"}
        print(json.dumps({**figure, "met": ratio <= goal}))


def show(mode: str, by_hand: list[float], served: list[float]) -> dict[int, float]:
    """Tell a person, and give the ratios by percentile."""
    ratios = {}
    for percent in (50, 99):
        a, b = percentile(by_hand, percent), percentile(served, percent)
        ratios[percent] = round(b / a, 3)
        words = f"{mode} p{percent}: by hand {a * 1000:.2f} ms, gateway {b * 1000:.2f} ms, ratio {ratios[percent]}"
        print(words, file=sys.stderr)
    return ratios


main()
