"""A picture of 24 MiB in and out: what the gateway adds to a client by hand, in copies of it over HTTP.

Both run LoadImage → SaveImage on the same ComfyUI, which the gateway started, by turns and each time with other bytes.
One copy is the time in which the client by hand uploads the picture straight to ComfyUI.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench import bench_install  # noqa: E402
from bench.gateway import blank_capsule, serving  # noqa: E402
from comfy_capsule.packager.capsule import Capsule, write_capsule  # noqa: E402
from comfy_capsule.packager.contract import Contract, Input, Output, Target  # noqa: E402

SIDE = 2896  # of noise, which PNG cannot make smaller: 24 MiB
ROUNDS = 9


def passing_capsule() -> Capsule:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "none.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "large"}},
    }
    photo = Input(name="photo", type="image", required=True, targets=(Target(node="1", input="image"),))
    contract = Contract(name="large", inputs=(photo,), outputs=(Output(name="picture", type="image", nodes=("2",)),))
    return blank_capsule(lock=blank_capsule().lock.model_copy(update={"name": "large"}), graph=graph, contract=contract)


def noise(seed: int) -> bytes:
    samples, written = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(samples).save(written, "PNG", compress_level=0)
    return written.getvalue()


async def by_hand(session: aiohttp.ClientSession, base: str, data: bytes) -> tuple[float, float]:
    """Seconds of the whole, and of the upload alone."""
    begun = time.perf_counter()
    form = aiohttp.FormData()
    form.add_field("image", data, filename=f"{uuid.uuid4().hex}.png", content_type="image/png")
    async with session.post(f"{base}/upload/image", data=form) as answer:
        name = (await answer.json())["name"]
    uploaded = time.perf_counter() - begun
    graph: dict[str, Any] = copy.deepcopy(passing_capsule().graph)
    graph["1"]["inputs"]["image"] = name
    prompt = str(uuid.uuid4())
    async with session.post(f"{base}/prompt", json={"prompt": graph, "prompt_id": prompt}) as answer:
        assert answer.status == 200, await answer.text()
    while True:
        async with session.get(f"{base}/history/{prompt}") as answer:
            if entry := (await answer.json()).get(prompt):
                break
        await asyncio.sleep(0.002)
    async with session.get(f"{base}/view", params=entry["outputs"]["2"]["images"][0]) as answer:
        assert len(await answer.read()) > 1 << 20
    return time.perf_counter() - begun, uploaded


async def through_gateway(session: aiohttp.ClientSession, url: str, data: bytes) -> float:
    begun = time.perf_counter()
    form = aiohttp.FormData()
    form.add_field("photo", data, filename="photo.png", content_type="image/png")
    async with session.post(f"{url}/workflows/large", data=form, headers={"Prefer": "wait=120"}) as answer:
        document = await answer.json()
        assert answer.status == 200, document
    async with session.get(url + document["outputs"]["picture"][0]["url"]) as answer:
        assert len(await answer.read()) > 1 << 20
    return time.perf_counter() - begun


async def measure(base: str, url: str) -> float:
    """Copies that the gateway adds, the median of the rounds."""
    added = []
    async with aiohttp.ClientSession() as session:
        for number in range(ROUNDS + 1):
            own, copied = await by_hand(session, base, noise(2 * number))
            served = await through_gateway(session, url, noise(2 * number + 1))
            print(f"by hand {own:.3f} s, of it the upload {copied:.3f} s; gateway {served:.3f} s", file=sys.stderr)
            if number:  # the first is a warm-up
                added.append((served - own) / copied)
    return statistics.median(added)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        capsule = Path(folder) / "large.capsule.zip"
        write_capsule(passing_capsule(), capsule)
        cold = {"COMFY_CAPSULE_WARM_UP": "false"}  # there is no picture to begin with
        with serving([capsule], bench_install(), Path(folder) / "state", env=cold) as gateway:
            gateway.wait_ready()
            base = json.loads((gateway.state / "worker-0" / "process.json").read_text())["url"]
            copies = round(asyncio.run(measure(base, gateway.url)), 2)
    figure = {"name": "gateway-large-copies", "value": copies, "unit": "copies", "goal": "< 2"}
    print(json.dumps({**figure, "met": copies < 2}))


main()
