"""What ComfyUI gets beside the parameters: the editor graph for its pictures, and options as it spells them."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway
from bench.pictures import example_picture
from comfy_capsule.packager.capsule import Capsule, InputFile
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.gateway import read_settings
from comfy_capsule.packager.gateway.settings import Settings

UI = {
    "nodes": [
        {"id": 1, "type": "EmptyImage", "widgets_values": [64, 64, 1, 0], "properties": {}},
        {"id": 2, "type": "SaveImage", "widgets_values": ["some/blank"], "properties": {}},
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}
SAVES = {"SaveImage": {"input": {"hidden": {"extra_pnginfo": "EXTRA_PNGINFO"}}}, "EmptyImage": {"input": {}}}


@pytest.fixture
def settings(fake: FakeComfyUI, tmp_path: Path) -> Settings:
    return read_settings({}, comfy=fake.url, state=tmp_path / "state", wait=5.0)


async def run(settings: Settings, capsule: Capsule, *bodies: dict[str, Any]) -> None:
    async with gateway(settings, capsule) as client:
        for body in bodies:
            answer = await client.post(BLANK, json=body)
            assert answer.status == 200, await answer.text()


def kept(extra: dict[str, Any]) -> list[Any]:
    return [node["widgets_values"] for node in extra["extra_pnginfo"]["workflow"]["nodes"]]


async def test_pictures_get_the_editor_graph_with_the_values_of_their_run(
    settings: Settings, fake: FakeComfyUI
) -> None:
    capsule = blank_capsule(workflow=copy.deepcopy(UI), object_info=SAVES)
    await run(settings, capsule, {"color": 255, "size": 8}, {})
    assert [kept(extra) for extra in fake.extra] == [
        [[8, 8, 1, 255], ["some/blank"]],
        [[64, 64, 1, 0], ["some/blank"]],
    ]
    assert capsule.workflow == UI


async def test_it_is_not_given_where_that_is_not_wanted_not_certain_or_of_no_use(
    fake: FakeComfyUI, tmp_path: Path
) -> None:
    uncertain = copy.deepcopy(UI)
    uncertain["nodes"][0]["widgets_values"] = [64, 64, 1, 7]
    saves_nothing = {name: {"input": {}} for name in SAVES}
    for number, (ui, info, embed) in enumerate(
        [(UI, SAVES, "false"), (uncertain, SAVES, "true"), (UI, saves_nothing, "true"), ({}, SAVES, "true")]
    ):
        told = {"COMFY_CAPSULE_EMBED_WORKFLOW": embed}
        settings = read_settings(told, comfy=fake.url, state=tmp_path / str(number), wait=5.0)
        await run(settings, blank_capsule(workflow=ui, object_info=info), {"color": 255})
    assert fake.extra == [{}] * 4


async def test_a_secret_stays_a_placeholder_in_the_editor_graph(
    settings: Settings, fake: FakeComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_API_KEY", "planted-value-4711")
    ui, asking = copy.deepcopy(UI), "key=${secret:API_KEY}"
    ui["nodes"][1]["widgets_values"] = [asking]
    graph = json.loads(json.dumps(blank_capsule().graph))
    graph["2"]["inputs"]["filename_prefix"] = asking
    key = Input(name="prefix", type="string", default=asking, targets=(Target(node="2", input="filename_prefix"),))
    contract = Contract(name="blank", inputs=(key,), outputs=blank_capsule().contract.outputs)
    capsule = blank_capsule(workflow=ui, graph=graph, contract=contract)
    await run(settings, capsule, {}, {"prefix": "mine"})
    assert [graph["2"]["inputs"]["filename_prefix"] for graph in fake.submitted] == ["key=planted-value-4711", "mine"]
    assert [kept(extra)[1] for extra in fake.extra] == [[asking], ["mine"]]


async def test_a_picture_is_named_as_in_the_input_folder(settings: Settings, fake: FakeComfyUI) -> None:
    own, photo = example_picture(8, 8), example_picture(16, 16)
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "own.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    ui = {
        "nodes": [
            {"id": 1, "type": "LoadImage", "widgets_values": ["own.png", "image"]},
            {"id": 2, "type": "SaveImage", "widgets_values": ["x"]},
        ]
    }
    target = Target(node="1", input="image")
    contract = Contract(
        name="blank",
        inputs=(Input(name="photo", type="image", default="own.png", targets=(target,)),),
        outputs=(Output(name="picture", type="image", nodes=("2",)),),
    )
    info = {"LoadImage": {"input": {"required": {"image": [["own.png"], {"image_upload": True}]}}}}
    item = InputFile(name="own.png", size=len(own), sha256=hashlib.sha256(own).hexdigest())
    capsule = blank_capsule(
        lock=blank_capsule().lock.model_copy(update={"inputs": (item,)}), workflow=ui, graph=graph,
        contract=contract, object_info=info, files={"inputs/own.png": own},
    )  # fmt: skip
    async with gateway(settings, capsule) as client:
        stored = await (await client.post("/files?filename=p.png", data=photo)).json()
        for body in ({}, {"photo": {"file": stored["id"]}}):
            assert (await client.post(BLANK, json=body)).status == 200
    names = [graph["1"]["inputs"]["image"] for graph in fake.submitted]
    assert [fake.uploads[name] for name in names] == [own, photo]
    assert [kept(extra)[0] for extra in fake.extra] == [[name, "image"] for name in names]


async def test_options_are_spelled_as_this_comfyui_lists_them(settings: Settings, fake: FakeComfyUI) -> None:
    fake.required = {"EmptyImage": {"model": [["Sub/Big.safetensors", "sub/small.safetensors"]]}}
    graph = json.loads(json.dumps(blank_capsule().graph))
    graph["1"]["inputs"] = {"model": "sub\\small.safetensors"}
    ui = copy.deepcopy(UI)
    ui["nodes"][0]["widgets_values"] = ["sub\\small.safetensors"]
    choices = ("sub\\small.safetensors", "sub\\big.safetensors")
    model = Input(
        name="model", type="choice", default=choices[0], choices=choices, targets=(Target(node="1", input="model"),)
    )
    contract = Contract(name="blank", inputs=(model,), outputs=blank_capsule().contract.outputs)
    capsule = blank_capsule(workflow=ui, graph=graph, contract=contract)
    async with gateway(settings, capsule) as client:
        for body in ({}, {"model": choices[1]}):
            assert (await client.post(BLANK, json=body)).status == 200
        assert (await client.post(BLANK, json={"model": "sub/small.safetensors"})).status == 422
        schema = await (await client.get("/workflows/blank/schema")).json()
    spelled = ["sub/small.safetensors", "Sub/Big.safetensors"]
    assert [graph["1"]["inputs"]["model"] for graph in fake.submitted] == spelled
    assert [kept(extra)[0] for extra in fake.extra] == [[each] for each in spelled]
    assert choices[0] in json.dumps(schema, ensure_ascii=False).replace("\\\\", "\\")
