"""Pictures of a served run open as workflows with the values of the run; a graph from Windows runs elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import UPSCALE, RunningComfy, bench_install, pixels, running
from bench.gateway import Gateway, blank_capsule, serving
from bench.marking import mark_everything, settable
from bench.pictures import example_picture
from bench.templates import templates
from comfy_capsule.packager.capsule import Capsule, write_capsule
from comfy_capsule.packager.comfy import ComfyClient
from comfy_capsule.packager.contract import EditorGraph, build_contract
from comfy_capsule.packager.workflow import find_marks
from comfy_capsule.packager.workflow.picture import picture_texts

Json = dict[str, Any]


async def classes(url: str) -> Json:
    async with ComfyClient(url) as client:
        return await client.object_info()


def sealed(ui: Json, api: Json, info: Json, folder: Path) -> Path:
    """A capsule of these graphs that holds no environment."""
    lock = blank_capsule().lock.model_copy(update={"name": "upscale"})
    contract = build_contract("upscale", ui, api, info)
    capsule: Capsule = blank_capsule(lock=lock, workflow=ui, graph=api, contract=contract, object_info=info)
    write_capsule(capsule, folder / "upscale.capsule.zip")
    return folder / "upscale.capsule.zip"


def run(gateway: Gateway, parameters: Json, folder: Path) -> tuple[bytes, dict[str, Json]]:
    """The picture, and the graphs in it by name."""
    status, execution, _ = gateway.ask("POST", "/workflows/upscale", parameters)
    assert status == 200, execution
    _, data, _ = gateway.ask("GET", execution["outputs"]["image"][0]["url"])
    path = folder / "picture.png"
    path.write_bytes(data)
    texts = picture_texts(path)
    assert texts is not None
    return data, {name: json.loads(text) for name, text in texts.items()}


def test_a_picture_opens_as_it_was_made(comfy: RunningComfy, tmp_path: Path) -> None:
    info = asyncio.run(classes(comfy.base_url))
    path = sealed(UPSCALE.ui, UPSCALE.api, info, tmp_path)
    mine = base64.b64encode(example_picture(20, 10)).decode()
    with serving([path], comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        _, graphs = run(gateway, {"picture": {"data": mine}, "strength": 0.25, "levels": 8}, tmp_path)
    prompt = {node: entry["inputs"] for node, entry in graphs["prompt"].items()}
    kept = {node["id"]: node["widgets_values"] for node in graphs["workflow"]["nodes"]}
    assert kept[4] == ["sepia", 0.25, 8]
    assert (prompt["4"]["strength"], prompt["4"]["levels"]) == (0.25, 8)
    assert kept[1][0] == prompt["1"]["image"]
    assert kept[1][0].startswith("capsule/")
    before = {node["id"]: node for node in UPSCALE.ui["nodes"]}
    for node in graphs["workflow"]["nodes"]:
        assert {**node, "widgets_values": before[node["id"]]["widgets_values"]} == before[node["id"]]  # marks and all


def test_without_the_setting_a_picture_holds_its_prompt_alone(
    comfy: RunningComfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_CAPSULE_EMBED_WORKFLOW", "false")
    path = sealed(UPSCALE.ui, UPSCALE.api, asyncio.run(classes(comfy.base_url)), tmp_path)
    with serving([path], comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        _, graphs = run(gateway, {"levels": 9}, tmp_path)
    assert list(graphs) == ["prompt"]


def test_a_model_named_as_on_windows_is_found(comfy: RunningComfy, tmp_path: Path) -> None:
    """The same picture as by hand, from a model in a subfolder whose name has another case and the other separator."""
    windows = "Sub\\BENCH-x2.safetensors"
    ui, api = json.loads(
        json.dumps([UPSCALE.ui, UPSCALE.api]).replace("bench-x2.safetensors", json.dumps(windows)[1:-1])
    )
    assert api["2"]["inputs"]["model_name"] == windows
    ((_, by_hand),) = comfy.generate(UPSCALE.api).items()
    (tmp_path / "models/upscale_models/sub").mkdir(parents=True)
    shutil.copy(
        comfy.install.root / "models/upscale_models/bench-x2.safetensors", tmp_path / "models/upscale_models/sub"
    )
    arguments = ["--models-directory", str(tmp_path / "models")]
    with running(bench_install(), extra_args=arguments) as other:
        path = sealed(ui, api, asyncio.run(classes(other.base_url)), tmp_path)
        with serving([path], other.base_url, tmp_path / "state") as gateway:
            gateway.wait_ready()
            data, graphs = run(gateway, {}, tmp_path)
    assert graphs["prompt"]["2"]["inputs"]["model_name"] == "sub/bench-x2.safetensors"
    assert graphs["workflow"]["nodes"][1]["widgets_values"] == ["sub/bench-x2.safetensors"]
    assert pixels(data) == pixels(by_hand["images"][0]["bytes"])


#: Widgets that show something: nobody marks them, and the front-end makes their value anew for each run.
VIEWS = {("ImageCompare", "compare_view"), *((each, "audioUI") for each in ("LoadAudio", "SaveAudioMP3"))}


@pytest.mark.parametrize("front_end", ["", "1.45.20", "1.53.10"])
def test_nearly_every_marked_value_of_the_real_templates_has_its_place(front_end: str) -> None:
    """Each mark given a value that nothing else has: what was placed is then found where the new API graph says."""
    known = templates(front_end)
    marked, missing = 0, Counter[tuple[str, str]]()
    for name, api in known.graphs.items():
        if any(entry.get("class_type") not in known.object_info for entry in api.values()):
            continue
        ui, free = mark_everything(known.saved[name], api), settable(api)
        marks = [mark for mark in find_marks(ui).inputs if (mark.class_type, mark.widget) not in VIEWS]
        groups = [[target for target in mark.targets if target in free] for mark in marks]
        marked += sum(map(len, groups))
        lost = set(EditorGraph(ui, api, [target for group in groups for target in group]).unplaced)
        graph = EditorGraph(ui, api, [target for group in groups for target in group if target not in lost])
        other, sure = api, list[tuple[str, str]]()
        for number, group in enumerate(groups):
            values = dict.fromkeys(group, f"value {number}")
            if lost.intersection(group) or graph.with_values(put(api, values)) is None:
                missing.update((api[node]["class_type"], widget) for node, widget in group)
                continue
            sure += group
            other = put(other, values)
        changed = EditorGraph(ui, api, sure).with_values(other)
        assert changed is not None, name
        assert EditorGraph(changed, other, sure).unplaced == (), name
    print(f"{missing.total()} of {marked}: {missing}")
    assert marked > 10_000
    assert missing.total() / marked < 0.01, missing


def put(api: Json, values: dict[tuple[str, str], str]) -> Json:
    """A copy of the API graph with `values` at their targets."""
    copied = dict(api)
    for (node, name), value in values.items():
        copied[node] = {**copied[node], "inputs": {**copied[node]["inputs"], name: value}}
    return copied
