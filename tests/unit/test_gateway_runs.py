"""Running workflows through the gateway, in front of a stand-in ComfyUI."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import pytest
from aiohttp import FormData

from bench.fake_comfyui import PIXEL, FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway, state_of
from bench.pictures import example_picture
from comfy_capsule.packager.capsule import InputFile
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.gateway import Settings, read_settings


@pytest.fixture
def settings(tmp_path: Path, fake: FakeComfyUI) -> Settings:
    return read_settings({}, comfy=fake.url, state=tmp_path, wait=5.0, cancel_grace=0.5, lease=1.0)


async def test_a_run_gives_the_picture_with_its_type_size_and_digest(settings: Settings, fake: FakeComfyUI) -> None:
    async with gateway(settings) as client:
        answer = await client.post(BLANK, json={"color": 7})
        execution = await answer.json()
        assert answer.status == 200
        assert answer.headers["Location"] == f"/executions/{execution['id']}"
        assert execution["state"] == "succeeded"
        assert execution["parameters"] == {"color": 7, "size": 64}
        (picture,) = execution["outputs"]["picture"]
        data = await (await client.get(picture["url"])).read()
        assert data.startswith(PIXEL)
        assert (picture["size"], picture["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert picture["type"] == "image/png"
        assert fake.submitted[0]["1"]["inputs"]["color"] == 7


async def test_output_bytes_come_in_ranges_and_never_as_a_page_of_ours(settings: Settings) -> None:
    async with gateway(settings) as client:
        execution = await (await client.post(BLANK)).json()
        url = execution["outputs"]["picture"][0]["url"]
        part = await client.get(url, headers={"Range": "bytes=1-3"})
        assert (part.status, await part.read()) == (206, b"PNG")
        whole = await client.get(url)
        assert whole.headers["Content-Type"] == "image/png"
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in whole.headers["Content-Security-Policy"]
        digest = hashlib.sha256(await whole.read()).digest()
        assert whole.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"


async def test_bytes_come_inline_when_asked(settings: Settings) -> None:
    async with gateway(settings) as client:
        execution = await (await client.post(f"{BLANK}?inline=true")).json()
        assert base64.b64decode(execution["outputs"]["picture"][0]["data"]).startswith(PIXEL)


async def test_every_kind_and_every_file_is_kept_whatever_its_key(settings: Settings) -> None:
    graph = {
        "1": {"class_type": "PreviewAny", "inputs": {}},
        "2": {"class_type": "SaveThree", "inputs": {}},
        "3": {"class_type": "SaveImage", "inputs": {}},
    }
    outputs = (Output(name="text", type="text", nodes=("1",)), Output(name="all", type="files", nodes=("2",)))
    capsule = blank_capsule(graph=graph, contract=Contract(name="blank", outputs=outputs))
    async with gateway(settings, capsule) as client:
        execution = await (await client.post(BLANK, json={})).json()
        kinds = [(item["kind"], item.get("value")) for item in execution["outputs"]["text"]]
        assert kinds == [("text", "hello"), ("text", "world"), ("json", {"a": 1})]
        assert [item["kind"] for item in execution["outputs"]["all"]] == ["file"] * 3
        assert set(execution["outputs"]) == {"text", "all"}  # the third node is no output of the contract
        text = await client.get(f"/executions/{execution['id']}/outputs/text/1")
        assert await text.text() == "world"


async def test_prefer_says_how_long_to_wait(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        for prefer in ("respond-async", "wait=0", "foo, wait=0"):
            answer = await client.post(BLANK, json={}, headers={"Prefer": prefer})
            assert answer.status == 202
        execution = await answer.json()
        assert execution["state"] in ("queued", "running")
        fake.hold.set()
        ended = await client.get(answer.headers["Location"], headers={"Prefer": "wait=5"})
        assert (await ended.json())["state"] == "succeeded"


async def test_a_picture_comes_as_base64_as_upload_or_in_a_form(settings: Settings, fake: FakeComfyUI) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "own.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    contract = Contract(
        name="blank",
        inputs=(Input(name="photo", type="image", default="own.png", targets=(Target(node="1", input="image"),)),),
        outputs=(Output(name="picture", type="image", nodes=("2",)),),
    )
    own, photo = example_picture(8, 8), example_picture(16, 16)
    base = blank_capsule()
    digest = hashlib.sha256(own).hexdigest()
    lock = base.lock.model_copy(update={"inputs": (InputFile(name="own.png", size=len(own), sha256=digest),)})
    object_info = {"LoadImage": {"input": {"required": {"image": [["own.png"], {"image_upload": True}]}}}}
    capsule = blank_capsule(
        lock=lock, graph=graph, contract=contract, object_info=object_info, files={"inputs/own.png": own}
    )
    async with gateway(settings, capsule) as client:
        form = FormData()
        form.add_field("photo", photo, filename="p.png", content_type="image/png")
        stored = await (await client.post("/files?filename=p.png", data=photo)).json()
        inline = {"photo": {"data": base64.b64encode(photo).decode()}}
        for body in ({"data": form}, {"json": {"photo": {"file": stored["id"]}}}, {"json": inline}):
            answer = await client.post(BLANK, **body)
            assert answer.status == 200, await answer.text()
            name = fake.submitted[-1]["1"]["inputs"]["image"]
            assert fake.uploads[name] == photo
            assert name == f"capsule/{hashlib.sha256(photo).hexdigest()[:40]}.png"
        await client.post(BLANK, json={})
        assert fake.uploads[fake.submitted[-1]["1"]["inputs"]["image"]] == own
        again = await (await client.post("/files?filename=p.png", data=photo)).json()
        assert again["id"] == stored["id"]
        assert await (await client.get(f"/files/{stored['id']}")).read() == photo


@pytest.mark.parametrize("silent", [False, True])
async def test_a_failed_node_is_named(settings: Settings, fake: FakeComfyUI, silent: bool) -> None:
    fake.failing, fake.silent = "1", silent
    async with gateway(settings) as client:
        answer = await client.post(BLANK, json={})
        problem = await answer.json()
        assert (answer.status, answer.content_type) == (500, "application/problem+json")
        assert problem["code"] == "node-failed"
        assert problem["node"] == {"id": "1", "class": "EmptyImage", "title": "Blank"}
        assert "no such colour" in problem["detail"]
        execution = await (await client.get(answer.headers["Location"])).json()
        assert execution["state"] == "failed"
        assert execution["problem"]["code"] == "node-failed"


async def test_a_refused_graph_is_told_with_its_node(settings: Settings, fake: FakeComfyUI) -> None:
    fake.refusing = "1"
    async with gateway(settings) as client:
        problem = await (await client.post(BLANK, json={})).json()
        assert problem["code"] == "graph-refused"
        assert problem["node"] == {"id": "1", "class": "EmptyImage", "title": "Blank"}


async def test_a_queued_and_a_running_execution_are_cancelled(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        ids = []
        for _ in range(4):
            answer = await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})
            ids.append((await answer.json())["id"])
        await state_of(client, ids[0], "running")
        for id in reversed(ids):
            answer = await client.post(f"/executions/{id}/cancel")
            assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")
        fake.hold.set()
        assert (await (await client.post(BLANK, json={})).json())["state"] == "succeeded"
        again = await client.post(f"/executions/{ids[0]}/cancel")
        assert again.status == 200  # it is cancelled: asking once more changes nothing


async def test_an_ignored_cancel_is_not_called_a_success(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    fake.deaf = True
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        await state_of(client, id, "running")
        answer = await client.post(f"/executions/{id}/cancel")
        told = await answer.json()
        assert (answer.status, told["state"], told["cancel_requested"]) == (202, "running", True)
        fake.hold.set()
        finished = await state_of(client, id, "succeeded")
        answer = await client.post(f"/executions/{finished['id']}/cancel")
        assert (answer.status, (await answer.json())["code"]) == (409, "already-finished")


async def test_the_same_idempotency_key_gives_the_same_execution(settings: Settings, fake: FakeComfyUI) -> None:
    async with gateway(settings) as client:
        header = {"Idempotency-Key": "order-1"}
        first = await (await client.post(BLANK, json={"color": 1}, headers=header)).json()
        second = await (await client.post(BLANK, json={"color": 1}, headers=header)).json()
        assert (first["id"], len(fake.submitted)) == (second["id"], 1)
        other = await client.post(BLANK, json={"color": 2}, headers=header)
        assert (other.status, (await other.json())["code"]) == (409, "idempotency-conflict")


async def test_after_a_death_of_the_gateway_nothing_is_lost(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        ids = []
        for _ in range(4):
            answer = await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})
            ids.append((await answer.json())["id"])
        await state_of(client, ids[1], "running")
    fake.hold.set()
    async with gateway(settings) as client:
        for id in ids:
            await state_of(client, id, "succeeded")
        assert len(fake.prompts) == len(set(fake.prompts)) == 4  # the running ones were found, not run again


async def test_what_comfyui_forgot_while_no_gateway_watched_is_lost(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        await state_of(client, id, "running")
        await asyncio.sleep(0.4)
    await fake.die()
    async with gateway(settings) as client:
        execution = await state_of(client, id, "lost")
        assert execution["problem"]["code"] == "lost"


async def test_after_a_death_of_comfyui_an_execution_runs_once_more_and_only_once(
    settings: Settings, fake: FakeComfyUI
) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        for attempt in (1, 2):
            while len(fake.prompts) < attempt:
                await asyncio.sleep(0.02)
            await fake.die()
        execution = await state_of(client, id, "failed")
        assert execution["problem"]["code"] == "worker-died"
        assert execution["attempts"] == len(set(fake.prompts)) == 2
        fake.hold.set()
        assert (await (await client.post(BLANK, json={})).json())["state"] == "succeeded"


async def test_a_cut_socket_costs_no_result(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        await state_of(client, id, "running")
        await fake.cut()
        fake.hold.set()
        execution = await state_of(client, id, "succeeded")
        assert len(execution["outputs"]["picture"]) == 1
        assert len(fake.prompts) == 1


async def test_missing_node_classes_are_named_before_anything_runs(settings: Settings, fake: FakeComfyUI) -> None:
    fake.classes.remove("SaveImage")
    async with gateway(settings, ready=False) as client:
        async with asyncio.timeout(5):
            while "SaveImage" not in (await (await client.get("/readyz")).json())["detail"]:
                await asyncio.sleep(0.02)
        assert (await client.get("/livez")).status == 200
        fake.classes.append("SaveImage")
        async with asyncio.timeout(10):
            while (await client.get("/readyz")).status != 200:
                await asyncio.sleep(0.05)


async def test_events_tell_states_progress_and_the_end(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        stream = await client.get(f"/executions/{id}/events")
        await asyncio.sleep(0.2)
        fake.hold.set()
        text = (await stream.read()).decode()
        assert [line for line in text.splitlines() if line.startswith("event: ")][-1] == "event: end"
        assert "event: progress" in text
        end = json.loads(text.rpartition("data: ")[2])
        assert end["state"] == "succeeded"
