"""The client against the real ComfyUI: what the stand-in server of the unit tests claims is true."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from bench import PLAIN, UPSCALE, RunningComfy, example_picture, pixels
from comfy_capsule.packager.comfy import ComfyClient, GraphRefused

SLOW: dict[str, Any] = {
    **UPSCALE.api,
    "1": {"class_type": "EmptyImage", "inputs": {"width": 2048, "height": 2048, "batch_size": 4, "color": 0}},
}


async def test_an_uploaded_picture_is_run_and_seen_on_the_websocket(comfy: RunningComfy):
    ours, me = str(uuid.uuid4()), uuid.uuid4().hex
    async with ComfyClient(comfy.base_url) as client:
        put = await client.upload_image(example_picture(40, 30), 'Größe "1".png', "a folder")
        graph = UPSCALE.api
        graph["1"]["inputs"]["image"] = put.reference
        async with client.websocket(me) as events:
            done = await client.submit(graph, prompt_id=ours, client_id=me, extra_data={"mark": 1})
            kinds, executed = set(), {}
            async for event in events:
                if event.data.get("prompt_id") != ours:
                    continue
                kinds.add(event.kind)
                if event.kind == "executed":
                    executed = event.data
                if event.kind == "execution_success":
                    break
        assert done.prompt_id == ours
        assert {"execution_start", "progress_state", "executing", "executed"} <= kinds
        (image,) = executed["output"]["images"]
        picture = await client.view(image["filename"], image["subfolder"], image["type"])
        assert pixels(picture)[1] == (80, 60)
        while (entry := await client.history(ours)) is None:  # written just after the last message
            await asyncio.sleep(0.01)
        assert entry["prompt"][3]["mark"] == 1


async def test_what_waits_is_taken_out_and_what_runs_is_stopped(comfy: RunningComfy):
    running, waiting = str(uuid.uuid4()), str(uuid.uuid4())
    async with ComfyClient(comfy.base_url) as client:
        await client.submit(SLOW, prompt_id=running)
        await client.submit(PLAIN.api, prompt_id=waiting)
        while running not in (queue := await client.queue()).running:
            await asyncio.sleep(0.01)
        assert queue.pending == (waiting,)
        await client.delete_queued(waiting, running)
        assert await client.queue() == queue.model_copy(update={"pending": ()})
        await client.interrupt(waiting)  # another's: the running one goes on
        assert (await client.queue()).running == (running,)
        await client.interrupt(running)
        while (entry := await client.history(running)) is None:
            await asyncio.sleep(0.01)
        assert entry["status"]["status_str"] == "error"
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
        assert await client.history(waiting) is None


async def test_refusals_are_comfyuis_own(comfy: RunningComfy):
    async with ComfyClient(comfy.base_url) as client:
        with pytest.raises(GraphRefused) as missing:
            await client.submit({"1": {"class_type": "Nowhere", "inputs": {}}})
        assert missing.value.error["type"] == "missing_node_type"
        graph = PLAIN.api
        graph["2"]["inputs"]["strength"] = 7
        with pytest.raises(GraphRefused, match=r"node 2 \(Tint \(bench\)\): Value 7\.0 bigger than max") as bounds:
            await client.submit(graph)
        assert bounds.value.node_errors["2"]["errors"][0]["extra_info"]["input_name"] == "strength"


async def test_a_graph_that_is_half_valid_does_not_run_by_half(comfy: RunningComfy):
    good = {f"1{node}": _moved(part) for node, part in PLAIN.api.items()}
    bad = PLAIN.api
    bad["1"]["inputs"]["width"] = 0
    ours = str(uuid.uuid4())
    async with ComfyClient(comfy.base_url) as client:
        with pytest.raises(GraphRefused) as refused:
            await client.submit({**good, **bad}, prompt_id=ours)
        assert list(refused.value.node_errors) == ["1"]
        queue = await client.queue()
        assert ours not in queue.running + queue.pending


def _moved(node: dict[str, Any]) -> dict[str, Any]:
    inputs = {k: [f"1{v[0]}", v[1]] if isinstance(v, list) else v for k, v in node["inputs"].items()}
    return {**node, "inputs": inputs}
