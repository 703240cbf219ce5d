"""Several ComfyUIs behind one gateway: each gets work as soon as it has nothing to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings
from comfy_capsule.packager.gateway.supervise import Attached

ASYNC = {"Prefer": "respond-async"}


def settings_for(fake: FakeComfyUI, folder: Path, **more: Any) -> Settings:
    return Settings(comfy=fake.url, state=folder / "state", wait=5.0, **more)


async def run(client: Any, color: int) -> str:
    return str((await (await client.post(BLANK, json={"color": color}, headers=ASYNC)).json())["id"])


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def all_ready(client: Any, count: int) -> None:
    async with asyncio.timeout(5):
        while f"active_workers {count}.0" not in await (await client.get("/metrics")).text():
            await asyncio.sleep(0.01)


async def test_work_goes_to_the_one_that_runs_nothing(fake: FakeComfyUI, other: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    other.hold.clear()
    backends = [Attached(fake.url), Attached(other.url)]
    async with gateway(settings_for(fake, tmp_path), backends=backends) as client:
        await all_ready(client, 2)
        ids = [await run(client, color) for color in range(2)]
        await until(lambda: len(fake.submitted) + len(other.submitted) == 2)
        assert (len(fake.submitted), len(other.submitted)) == (1, 1)
        ids += [await run(client, color) for color in range(2, 5)]
        await until(lambda: len(fake.submitted) + len(other.submitted) == 4)
        assert (len(fake.submitted), len(other.submitted)) == (2, 2), "each runs one, and has the next at hand"
        states = [(await (await client.get(f"/executions/{id}")).json())["state"] for id in ids]
        assert states == ["running"] * 4 + ["queued"]
        other.hold.set()
        await until(lambda: len(other.submitted) == 3)
        fake.hold.set()
        for id in ids:
            await state_of(client, id, "succeeded")


async def test_a_waiting_batch_is_shared_out(fake: FakeComfyUI, other: FakeComfyUI, tmp_path: Path) -> None:
    backends = [Attached(fake.url), Attached(other.url)]
    async with gateway(settings_for(fake, tmp_path), backends=backends) as client:
        await all_ready(client, 2)
        answer = await client.post(f"{BLANK}/batch", json={"items": [{"color": color} for color in range(40)]})
        place = answer.headers["Location"]
        async with asyncio.timeout(10):
            while (batch := await (await client.get(place)).json())["states"] != {"succeeded": 40}:
                assert not {"failed", "lost"} & batch["states"].keys()
                await asyncio.sleep(0.02)
        assert len(fake.submitted) + len(other.submitted) == 40
        assert min(len(fake.submitted), len(other.submitted)) >= 8


async def test_when_one_dies_the_other_does_its_work(fake: FakeComfyUI, other: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    backends = [Attached(fake.url), Attached(other.url)]
    async with gateway(settings_for(fake, tmp_path, lanes=1), backends=backends) as client:
        await all_ready(client, 2)
        first = await run(client, 1)
        await state_of(client, first, "running")
        assert len(fake.submitted) == 1
        await fake.die()
        for color in (2, 3):
            answer = await client.post(BLANK, json={"color": color})
            assert answer.status == 200, await answer.text()
        assert (await client.get("/readyz")).status == 200


async def test_a_cancel_finds_the_right_one(fake: FakeComfyUI, other: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    other.hold.clear()
    backends = [Attached(fake.url), Attached(other.url)]
    async with gateway(settings_for(fake, tmp_path, lanes=1), backends=backends) as client:
        await all_ready(client, 2)
        first, second = await run(client, 1), await run(client, 2)
        await until(lambda: other.submitted)
        assert (await client.post(f"/executions/{second}/cancel")).status == 200
        assert (await (await client.get(f"/executions/{first}")).json())["state"] == "running"
        fake.hold.set()
        await state_of(client, first, "succeeded")
