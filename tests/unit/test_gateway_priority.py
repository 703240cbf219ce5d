"""Urgent work goes first, whatever came before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings

ASYNC = {"Prefer": "respond-async"}


async def test_what_is_urgent_runs_before_what_came_first(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", lanes=1)) as client:
        first = (await (await client.post(BLANK, json={"color": 0}, headers=ASYNC)).json())["id"]
        await state_of(client, first, "running")
        asked = [(1, ""), (2, "u=7"), (3, "u=0"), (4, ""), (5, "u=0, i"), (6, "u=2")]
        ids = []
        for color, priority in asked:
            headers = ASYNC | ({"Priority": priority} if priority else {})
            ids.append((await (await client.post(BLANK, json={"color": color}, headers=headers)).json())["id"])
        batch = await client.post(
            f"{BLANK}/batch", json={"items": [{"color": 7}, {"color": 8}]}, headers={"Priority": "u=1"}
        )
        assert batch.status == 202
        fake.hold.set()
        execution = await state_of(client, ids[1], "succeeded")
        assert execution["priority"] == 7
        colors = [graph["1"]["inputs"]["color"] for graph in fake.submitted]
        assert colors == [0, 3, 5, 7, 8, 6, 1, 4, 2]


@pytest.mark.parametrize("given", ["", "u=8", "u=-1", "u", "high", "u=1, u=2", "u=01"])
async def test_a_priority_that_says_nothing_is_refused(fake: FakeComfyUI, tmp_path: Path, given: str) -> None:
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state")) as client:
        answer = await client.post(BLANK, json={}, headers={"Priority": given})
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid-header")
