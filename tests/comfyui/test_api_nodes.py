"""The API nodes in a real ComfyUI: defined as the reader of graphs expects, exported, served and restored."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from bench import bench_install, fresh_install
from bench.gateway import serving
from bench.pictures import example_picture
from browser.packs import clone_ourselves, install_requirements, publish_ourselves
from comfy_capsule.packager import actions
from comfy_capsule.packager.capsule import Capsule, read_capsule
from comfy_capsule.packager.comfy import boot_object_info, find_install
from comfy_capsule.packager.image.plan import make_plan
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore import restore
from comfy_capsule.packager.workflow import API_INPUTS, API_OUTPUTS

PHOTO = "bench-picture.png"


def graph() -> dict[str, Any]:
    """Every API node, each feeding a node of ComfyUI's own or of the bench's packs."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "1": ("CapsuleImage", {"name": "photo", "image": PHOTO, "description": ""}),
        "2": ("CapsuleInteger", {"name": "width", "value": 32, "minimum": 8, "maximum": 64, "description": "Pixels."}),
        "3": ("CapsuleChoice", {"name": "method", "value": "area", "choices": "area\nbicubic", "description": ""}),
        "4": ("CapsuleFloat", {"name": "noise", "value": 0.1, "minimum": 0.0, "maximum": 1.0, "description": ""}),
        "5": ("CapsuleSeed", {"name": "seed", "value": 3, "description": ""}),
        "6": ("CapsuleText", {"name": "caption", "value": "a cat", "max_length": 20, "description": ""}),
        "7": ("CapsuleBoolean", {"name": "loud", "value": False, "description": ""}),
        "10": (
            "ImageScale",
            {"image": ["1", 0], "upscale_method": ["3", 0], "width": ["2", 0], "height": 16, "crop": "disabled"},
        ),
        "11": ("BenchNoise", {"image": ["10", 0], "amount": ["4", 0], "seed": ["5", 0], "kind": "uniform"}),
        "12": ("ImageScaleBy", {"image": ["11", 0], "upscale_method": ["3", 0], "scale_by": 1.0}),
        "20": ("CapsuleOutputImage", {"name": "picture", "images": ["12", 0], "filename_prefix": "api/picture"}),
        "21": ("CapsuleOutputText", {"name": "told", "text": ["6", 0]}),
        "22": ("PreviewAny", {"source": ["7", 0]}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


class Made(NamedTuple):
    """A ComfyUI with our pack, its node definitions, and a capsule of the graph above."""

    comfy: Path
    object_info: dict[str, Any]
    file: Path

    @property
    def capsule(self) -> Capsule:
        return read_capsule(self.file)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("api-nodes")
    comfy = fresh_install(folder / "ComfyUI")
    clone_ourselves(publish_ourselves(folder), comfy)
    install_requirements(comfy)
    nodes = [{"id": int(name), "type": entry["class_type"], "properties": {}} for name, entry in graph().items()]
    (folder / "ui.json").write_text(json.dumps({"nodes": nodes, "links": [], "version": 0.4}))
    (folder / "api.json").write_text(json.dumps(graph()))
    out = folder / "nodes.capsule.zip"
    actions.export(
        str(comfy),
        folder / "ui.json",
        folder / "api.json",
        out,
        name=None,
        message="",
        strict=False,
        python=None,
        report=silent,
    )
    yield Made(comfy, boot_object_info(find_install(comfy)), out)
    shutil.rmtree(folder)


def test_the_nodes_are_those_that_the_reader_knows(made: Made) -> None:
    ours = {name: said for name, said in made.object_info.items() if name.startswith("Capsule")}
    assert set(ours) == {*API_INPUTS, *API_OUTPUTS}
    for name, said in ours.items():
        required = said["input"]["required"]
        assert "name" in required
        assert said["output_node"] == (name in API_OUTPUTS)
        assert name in API_OUTPUTS or {API_INPUTS[name], "description"} <= required.keys()
    assert {"minimum", "maximum"} <= ours["CapsuleFloat"]["input"]["required"].keys()
    assert "max_length" in ours["CapsuleText"]["input"]["required"]
    assert "choices" in ours["CapsuleChoice"]["input"]["required"]


def test_each_is_a_parameter_or_an_output(made: Made) -> None:
    contract = made.capsule.contract
    assert {(each.name, each.type) for each in contract.inputs} == {
        ("photo", "image"),
        ("width", "integer"),
        ("method", "choice"),
        ("noise", "number"),
        ("seed", "seed"),
        ("caption", "string"),
        ("loud", "boolean"),
    }
    assert {(each.name, each.type) for each in contract.outputs} == {("picture", "image"), ("told", "text")}


def test_the_api_holds_what_the_nodes_say(made: Made, tmp_path: Path) -> None:
    with serving([made.file], made.comfy, tmp_path / "state") as gateway:
        gateway.wait_ready()
        mine = base64.b64encode(example_picture(20, 10)).decode()
        asked = {
            "photo": {"data": mine},
            "width": 48,
            "method": "bicubic",
            "noise": 0.0,
            "caption": "hällo",
            "loud": True,
        }
        status, said, _ = gateway.ask("POST", "/workflows/nodes", asked)
        assert status == 200, said
        assert [item["value"] for item in said["outputs"]["told"]] == ["hällo"]
        (picture,) = said["outputs"]["picture"]
        _, data, _ = gateway.ask("GET", picture["url"])
        image = Image.open(BytesIO(data))
        assert image.size == (48, 16)
        assert "prompt" in image.info  # the workflow is inside, as ComfyUI's own Save Image puts it
        assert isinstance(said["parameters"]["seed"], int)
        wrong = [
            {"width": 65},
            {"method": "magic"},
            {"noise": 1.5},
            {"caption": "x" * 21},
            {"loud": "yes"},
            {"seed": -1},
        ]
        for parameters in wrong:
            status, problem, _ = gateway.ask("POST", "/workflows/nodes", parameters)
            assert (status, problem["parameter"]) == (422, *parameters), problem


def test_image_and_restore_keep_our_pack_for_its_nodes(made: Made, tmp_path: Path) -> None:
    capsule = made.capsule
    assert [pack.name for pack in capsule.lock.packs if pack.used] == ["bench-v3", "comfy-capsule"]
    assert "comfy-capsule/" in make_plan(capsule).packs
    models, store = [bench_install() / "models"], ModelStore(tmp_path / "store")
    done = restore(capsule, tmp_path / "ComfyUI", trust=True, models_from=models, store=store)
    assert done.table.equal, done.table.differing
    proved = {row.subject for row in done.table.rows if row.kind == "node"}
    assert {"CapsuleImage", "CapsuleOutputText"} <= proved
