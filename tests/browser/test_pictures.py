"""A picture of a served run, dropped into the editor, is the workflow it was made with: it gives the very API graph."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bench import RunningComfy
from bench.gateway import blank_capsule, serving
from browser.editor import Editor
from comfy_capsule.packager.capsule import write_capsule
from comfy_capsule.packager.contract import build_contract
from comfy_capsule.packager.workflow.picture import picture_texts

Json = dict[str, Any]

_SENT = """async () => { const { workflow, output } = await app.graphToPrompt();
  return JSON.parse(JSON.stringify({ workflow, output })) }"""  # as a file would hold them: nothing undefined
_DROP = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  await app.handleFile(new File([bytes], 'picture.png', { type: 'image/png' })); }"""
_SCALE = "5ca1e000-0000-4000-8000-000000000001"


def node(id: int, type: str, values: list[Any], inputs: list[Json], outputs: list[Json], mark: Json | None) -> Json:
    """A node as the editor saves it, at a place of its own."""
    marked = {"capsule": {"v": 1, **mark}} if mark else {}
    return {
        "id": id, "type": type, "pos": [(id % 10) * 260, (id // 10) * 260], "size": [220, 160], "flags": {},
        "order": 0, "mode": 0, "inputs": inputs, "outputs": outputs, "properties": marked, "widgets_values": values,
    }  # fmt: skip


def slot(name: str, type: str, link: int | None, *, widget: bool = False) -> Json:
    return {"name": name, "type": type, "link": link, **({"widget": {"name": name}} if widget else {})}


def out(type: str, *links: int, **more: Any) -> Json:
    return {"name": type, "type": type, "links": list(links), **more}


def inputs_of(**names: str) -> Json:
    return {"inputs": {widget: {"name": name} for widget, name in names.items()}}


def workflow() -> Json:
    """A primitive, a seed, a Custom Combo, and a definition that two hosts use, each with a width of its own."""
    inner = node(
        3, "ImageScale", ["nearest-exact", 512, 40, "disabled"],
        [slot("image", "IMAGE", 1), slot("width", "INT", 2, widget=True)], [out("IMAGE", 3)],
        inputs_of(crop="crop", height="height"),
    )  # fmt: skip
    definition = {
        "id": _SCALE, "version": 1, "revision": 0, "config": {}, "name": "Scale", "groups": [], "widgets": [],
        "state": {"lastGroupId": 0, "lastNodeId": 3, "lastLinkId": 3, "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [-200, 0, 120, 80]},
        "outputNode": {"id": -20, "bounding": [500, 0, 120, 60]},
        "inputs": [
            {"id": "5ca1e000-0000-4000-8000-000000000011", "name": "image", "type": "IMAGE", "linkIds": [1]},
            {"id": "5ca1e000-0000-4000-8000-000000000012", "name": "width", "type": "INT", "linkIds": [2]},
        ],
        "outputs": [{"id": "5ca1e000-0000-4000-8000-000000000013", "name": "IMAGE", "type": "IMAGE", "linkIds": [3]}],
        "nodes": [inner],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 3, "target_slot": 0, "type": "IMAGE"},
            {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 3, "target_slot": 1, "type": "INT"},
            {"id": 3, "origin_id": 3, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "IMAGE"},
        ],
    }  # fmt: skip

    def host(id: int, given: int, made: int, width: int, name: str) -> Json:
        slots = [slot("image", "IMAGE", given), slot("width", "INT", None, widget=True)]
        return node(id, _SCALE, [width], slots, [out("IMAGE", made)], inputs_of(width=name))

    nodes = [
        node(
            20, "PrimitiveNode", [64, "fixed"], [],
            [out("INT", 1, widget={"name": "width"})], inputs_of(value="side"),
        ),
        node(
            21, "EmptyImage", [64, 64, 1, 0],
            [slot("width", "INT", 1, widget=True), slot("color", "INT", 2, widget=True)], [out("IMAGE", 3)], None,
        ),
        node(22, "PrimitiveInt", [7, "randomize"], [], [out("INT", 2)], inputs_of(value="colour")),
        node(23, "CustomCombo", ["b", 1, "a", "b", ""], [], [out("STRING", 6), out("INT")], inputs_of(choice="folder")),
        host(10, 3, 4, 48, "first"),
        host(11, 4, 5, 32, "second"),
        node(
            30, "SaveImage", ["x"],
            [slot("images", "IMAGE", 5), slot("filename_prefix", "STRING", 6, widget=True)], [],
            {"output": {"name": "picture"}},
        ),
    ]  # fmt: skip
    links = [
        [1, 20, 0, 21, 0, "INT"], [2, 22, 0, 21, 1, "INT"], [3, 21, 0, 10, 0, "IMAGE"], [4, 10, 0, 11, 0, "IMAGE"],
        [5, 11, 0, 30, 0, "IMAGE"], [6, 23, 0, 30, 1, "STRING"],
    ]  # fmt: skip
    return {
        "id": "5ca1e000-0000-4000-8000-000000000000", "revision": 0, "version": 0.4, "config": {}, "extra": {},
        "last_node_id": 30, "last_link_id": 6, "groups": [], "nodes": nodes, "links": links,
        "definitions": {"subgraphs": [definition]},
    }  # fmt: skip


def inputs(graph: Json) -> Json:
    """The API graph without what is only for people."""
    return {id: (entry["class_type"], entry["inputs"]) for id, entry in graph.items()}


def test_a_served_picture_opens_as_it_was_made(page: Page, comfy: RunningComfy, tmp_path: Path) -> None:
    editor = Editor(page, comfy.base_url, vue=False).open()
    editor.load(workflow())
    sent = page.evaluate(_SENT)
    info = page.request.get(f"{comfy.base_url}/object_info").json()
    contract = build_contract("blank", sent["workflow"], sent["output"], info)
    assert {each.name for each in contract.inputs} == {
        "side", "colour", "folder", "first", "second", "crop", "height"
    }  # fmt: skip
    write_capsule(
        blank_capsule(workflow=sent["workflow"], graph=sent["output"], contract=contract, object_info=info),
        tmp_path / "blank.capsule.zip",
    )
    parameters = {"side": 96, "colour": 255, "folder": "a", "first": 24, "second": 80, "crop": "center", "height": 56}
    with serving([tmp_path / "blank.capsule.zip"], comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        status, execution, _ = gateway.ask("POST", "/workflows/blank", parameters)
        assert status == 200, execution
        _, data, _ = gateway.ask("GET", execution["outputs"]["picture"][0]["url"])
    (tmp_path / "picture.png").write_bytes(data)
    texts = picture_texts(tmp_path / "picture.png")
    assert texts is not None
    ran = json.loads(texts["prompt"])
    assert inputs(ran) != inputs(sent["output"])
    assert ran["10:3"]["inputs"] | {"image": 0} == {
        "image": 0, "upscale_method": "nearest-exact", "width": 24, "height": 56, "crop": "center"
    }  # fmt: skip
    page.evaluate("() => app.graph.clear()")
    page.evaluate(_DROP, base64.b64encode(data).decode())
    page.wait_for_function("() => app.graph.nodes.length === 7")  # newer front-ends load it a little later
    page.wait_for_timeout(500)
    again = page.evaluate(_SENT)
    assert inputs(again["output"]) == inputs(ran)
    marks = {str(node["id"]): node["properties"].get("capsule") for node in again["workflow"]["nodes"]}
    assert marks["10"] == inputs_of(width="first") | {"v": 1}
    assert editor.errors == []
