"""A ComfyUI that hangs, does not let go, runs out of memory, or loses its GPU: told as what it is, and got rid of."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings
from comfy_capsule.packager.gateway.supervise import Attached


class Ours(Attached):
    """As one of our own that can be replaced: the fake forgets everything."""

    own = True

    def __init__(self, fake: FakeComfyUI) -> None:
        super().__init__(fake.url)
        self.fake = fake
        self.replaced = 0
        self.memory = 0

    async def replace(self, reason: str) -> bool:
        self.replaced += 1
        self.generation += 1
        self.fake.deaf = self.fake.sick = False
        self.fake.failing = ""
        self.fake.hold.set()
        await self.fake.die()
        return True


def settings_for(fake: FakeComfyUI, folder: Path, **more: Any) -> Settings:
    return Settings(
        comfy=fake.url, state=folder / "state", **{"wait": 5.0, "cancel_grace": 0.2, "warm_up": False, **more}
    )


async def code_of(answer: Any) -> tuple[int, str]:
    return answer.status, (await answer.json())["code"]


async def test_what_says_nothing_is_stopped(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, stall=0.3), backends=[ours := Ours(fake)]) as client:
        assert await code_of(await client.post(BLANK, json={})) == (504, "stalled")
        assert (await client.post(BLANK, json={})).status in (504, 200)
        fake.hold.set()
        assert (await client.post(BLANK, json={})).status == 200
        assert ours.replaced == 0, "it let go"


async def test_what_says_something_is_left_alone_however_long(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, stall=0.5)) as client:
        made = await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json()
        for step in range(8):
            await asyncio.sleep(0.1)
            await fake.progress(step, 8)
        fake.hold.set()
        await state_of(client, made["id"], "succeeded")


@pytest.mark.parametrize("limit", ["stall", "deadline"])
async def test_one_that_does_not_let_go_is_replaced(fake: FakeComfyUI, tmp_path: Path, limit: str) -> None:
    fake.hold.clear()
    fake.deaf = True
    async with gateway(settings_for(fake, tmp_path, lanes=1, **{limit: 0.3}), backends=[ours := Ours(fake)]) as client:
        answer = await client.post(BLANK, json={})
        assert answer.status == 504
        async with asyncio.timeout(5):
            while not ours.replaced:
                await asyncio.sleep(0.02)
        assert (await client.post(BLANK, json={})).status == 200
        assert ours.replaced == 1


async def test_want_of_memory_has_a_code_of_its_own(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.failing, fake.error = "1", ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 3 GiB.")
    async with gateway(settings_for(fake, tmp_path), backends=[ours := Ours(fake)]) as client:
        answer = await client.post(BLANK, json={})
        assert await code_of(answer) == (500, "out-of-memory")
        assert ours.replaced == 0


GPU = ("RuntimeError", "CUDA error: device-side assert triggered")


async def test_after_a_failure_of_the_gpu_it_is_run_once_more_elsewhere(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.failing, fake.error = "1", GPU
    async with gateway(settings_for(fake, tmp_path), backends=[ours := Ours(fake)]) as client:
        answer = await client.post(BLANK, json={})
        assert (answer.status, (await answer.json())["attempts"]) == (200, 2)
        assert ours.replaced == 1


async def test_a_gpu_that_fails_again_is_told_of(fake: FakeComfyUI, tmp_path: Path) -> None:
    class Broken(Ours):
        async def replace(self, reason: str) -> bool:
            await super().replace(reason)
            self.fake.failing = "1"
            return True

    fake.failing, fake.error = "1", GPU
    async with gateway(settings_for(fake, tmp_path), backends=[broken := Broken(fake)]) as client:
        assert await code_of(await client.post(BLANK, json={})) == (500, "gpu-failed")
        assert broken.replaced == 2


async def test_somebody_elses_gpu_is_only_told_of(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.failing, fake.error = "1", GPU
    async with gateway(settings_for(fake, tmp_path)) as client:
        assert await code_of(await client.post(BLANK, json={})) == (500, "gpu-failed")


async def test_it_is_cancelled_when_who_waits_hangs_up(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, lanes=1)) as client:
        for asked, wanted in (("?cancel_on_disconnect=true", "cancelled"), ("", "running")):
            with pytest.raises(TimeoutError):
                await client.post(BLANK + asked, json={}, timeout=aiohttp.ClientTimeout(total=0.3))
            await asyncio.sleep(1.3)  # it is looked at each second
            [execution, *_] = (await (await client.get("/executions")).json())["executions"]
            assert execution["state"] == wanted
        fake.hold.set()


async def test_a_full_queue_is_not_ready(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, lanes=1, queue_bound=1, wait=0)) as client:
        await client.post(BLANK, json={})
        assert (await client.get("/readyz")).status == 200
        await client.post(BLANK, json={})
        assert await code_of(await client.get("/readyz")) == (503, "not-ready")
        fake.hold.set()


async def test_one_that_has_run_enough_is_replaced_when_it_runs_nothing(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path, recycle_after=3), backends=[ours := Ours(fake)]) as client:
        for color in range(7):
            answer = await client.post(BLANK, json={"color": color})
            assert (answer.status, (await answer.json())["attempts"]) == (200, 1), "none is lost by it"
        async with asyncio.timeout(5):
            while ours.replaced < 2:
                await asyncio.sleep(0.01)
        assert ours.replaced == 2
        assert (await client.post(BLANK, json={"color": 9})).status == 200


async def test_one_that_holds_too_much_is_replaced_and_what_it_runs_told_of(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    limits = {"memory_limit": 2 << 30, "lease": 0.3}
    async with gateway(settings_for(fake, tmp_path, **limits), backends=[ours := Ours(fake)]) as client:
        asking = asyncio.create_task(client.post(BLANK, json={}))
        await asyncio.sleep(0.4)
        assert not asking.done()
        ours.memory = 3 << 30
        answer = await asking
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (500, "out-of-memory")
        assert "3.0 GiB" in problem["detail"]
        ours.memory = 1 << 30
        assert (await client.post(BLANK, json={})).status == 200
        assert ours.replaced == 1


async def test_somebody_elses_is_never_replaced(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path, recycle_after=1, memory_limit=1, lease=0.3)) as client:
        for color in range(3):
            assert (await client.post(BLANK, json={"color": color})).status == 200
        await asyncio.sleep(0.3)
        assert (await client.post(BLANK, json={})).status == 200


async def test_a_comfyui_of_ours_is_ready_once_it_is_warm(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    settings = settings_for(fake, tmp_path, warm_up=True)
    async with gateway(settings, ready=False, backends=[ours := Ours(fake)]) as client:
        async with asyncio.timeout(5):
            while not fake.submitted:
                await asyncio.sleep(0.01)
        assert "warmed up" in (await (await client.get("/readyz")).json())["detail"]
        assert fake.submitted[0]["1"]["inputs"]["width"] == 1, "as small as it may be"
        fake.hold.set()
        async with asyncio.timeout(5):
            while (await client.get("/readyz")).status != 200:
                await asyncio.sleep(0.01)
        assert (await (await client.get("/executions")).json())["executions"] == []
        assert (await client.post(BLANK, json={})).status == 200
        await ours.replace("It is replaced")
        async with asyncio.timeout(5):
            while len(fake.submitted) < 3:
                await asyncio.sleep(0.01)


async def test_a_workflow_that_cannot_be_warmed_up_is_served_all_the_same(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.failing = "1"
    async with gateway(settings_for(fake, tmp_path, warm_up=True), backends=[ours := Ours(fake)]) as client:
        assert "no such colour" in (await (await client.get("/readyz")).json())["cold"]["blank"]
        fake.failing = ""
        assert (await client.post(BLANK, json={})).status == 200
        await ours.replace("It is replaced")
        await asyncio.sleep(0.5)
        assert len(fake.submitted) == 2, "it is not tried again"


async def test_a_gpu_that_is_gone_is_noticed_before_anybody_asks(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path, lease=0.3), backends=[ours := Ours(fake)]) as client:
        fake.sick = True
        async with asyncio.timeout(5):
            while not ours.replaced:
                await asyncio.sleep(0.01)
        assert (await client.post(BLANK, json={})).status == 200
        assert ours.replaced == 1
