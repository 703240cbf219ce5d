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
from bench.clips import gltf_of, probe, samples, sound, triangle, video
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

#: A pack of one file: nodes that make what no node of ComfyUI's own makes without a model, and write files themselves.
MAKERS = """
import os
import shutil

import folder_paths
import torch
from comfy_api.latest import ComfyExtension, Types, io


class MakeMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="MakeMesh", inputs=[], outputs=[io.Mesh.Output()])

    @classmethod
    def execute(cls):
        corners = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]])
        return io.NodeOutput(Types.MESH(corners, torch.tensor([[[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]])))


class Open3D(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        path = io.String.Input("path", force_input=True)
        return io.Schema(node_id="Open3D", inputs=[path], outputs=[io.File3DAny.Output()])

    @classmethod
    def execute(cls, path):
        return io.NodeOutput(Types.File3D(path, "glb"))


class WriteFiles(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [io.String.Input("path", force_input=True), io.String.Input("also", force_input=True)]
        return io.Schema(node_id="WriteFiles", inputs=inputs, outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, path, also):
        made = []
        for folder in (folder_paths.get_output_directory(), folder_paths.get_temp_directory()):
            os.makedirs(os.path.join(folder, "made"), exist_ok=True)
            made.append(shutil.copy(path, os.path.join(folder, "made", "copy.bin")))
        return io.NodeOutput(made + ([also] if also else []))


class Makers(ComfyExtension):
    async def get_node_list(self):
        return [MakeMesh, Open3D, WriteFiles]


async def comfy_entrypoint():
    return Makers()
"""


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
        "8": ("CapsuleAudio", {"name": "voice", "audio": "voice.wav", "description": ""}),
        "9": ("CapsuleVideo", {"name": "clip", "video": "clip.mp4", "description": ""}),
        "30": ("CapsuleFile", {"name": "solid", "file": "solid.glb", "description": ""}),
        "31": ("CapsuleJSON", {"name": "options", "value": '{ "kept": [1, true] }', "description": ""}),
        "32": ("CapsuleText", {"name": "also", "value": "", "max_length": 200, "description": ""}),
        "10": (
            "ImageScale",
            {"image": ["1", 0], "upscale_method": ["3", 0], "width": ["2", 0], "height": 16, "crop": "disabled"},
        ),
        "11": ("BenchNoise", {"image": ["10", 0], "amount": ["4", 0], "seed": ["5", 0], "kind": "uniform"}),
        "12": ("ImageScaleBy", {"image": ["11", 0], "upscale_method": ["3", 0], "scale_by": 1.0}),
        "20": ("CapsuleOutputImage", {"name": "picture", "images": ["12", 0], "filename_prefix": "api/picture"}),
        "21": ("CapsuleOutputText", {"name": "told", "text": ["6", 0]}),
        "22": ("PreviewAny", {"source": ["7", 0]}),
        "40": ("GetVideoComponents", {"video": ["9", 0]}),
        "41": (
            "CapsuleOutputAnimation",
            {
                "name": "moving",
                "images": ["40", 0],
                "fps": 5.0,
                "lossless": True,
                "quality": 80,
                "filename_prefix": "api/moving",
            },
        ),
        "42": ("CapsuleOutputVideo", {"name": "film", "video": ["9", 0], "filename_prefix": "api/film"}),
        "43": (
            "CapsuleOutputAudio",
            {"name": "heard", "audio": ["8", 0], "format": "flac", "filename_prefix": "api/heard"},
        ),
        "44": ("CapsuleOutputJSON", {"name": "said", "value": ["31", 1], "read_text": False}),
        "45": ("CapsuleOutputJSON", {"name": "read", "value": ["31", 0], "read_text": True}),
        "46": ("MakeMesh", {}),
        "47": ("CapsuleOutput3D", {"name": "made_mesh", "mesh": ["46", 0], "filename_prefix": "api/mesh"}),
        "48": ("Open3D", {"path": ["30", 0]}),
        "49": ("CapsuleOutput3D", {"name": "same_solid", "mesh": ["48", 0], "filename_prefix": "api/solid"}),
        "50": ("WriteFiles", {"path": ["30", 0], "also": ["32", 0]}),
        "51": ("CapsuleOutputFile", {"name": "files", "path": ["50", 0]}),
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
    (comfy / "custom_nodes/makers.py").write_text(MAKERS)
    (comfy / "input/voice.wav").write_bytes(sound(samples(800)))
    (comfy / "input/solid.glb").write_bytes(triangle())
    video(comfy / ".venv/bin/python", comfy / "input/clip.mp4", 2)
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
        ("voice", "audio"),
        ("clip", "video"),
        ("solid", "file"),
        ("options", "json"),
        ("also", "string"),
    }
    assert {(each.name, each.type) for each in contract.outputs} == {
        ("picture", "image"),
        ("told", "text"),
        ("moving", "animation"),
        ("film", "video"),
        ("heard", "audio"),
        ("said", "json"),
        ("read", "json"),
        ("made_mesh", "3d"),
        ("same_solid", "3d"),
        ("files", "file"),
    }
    assert {each.name for each in made.capsule.lock.inputs} == {PHOTO, "voice.wav", "clip.mp4", "solid.glb"}


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


def test_media_files_and_json_go_in_and_come_back(made: Made, tmp_path: Path) -> None:
    python, options = made.comfy / ".venv/bin/python", {"filename": "ä.png", "list": [1, None, True], "text": '"'}
    sent, solid = samples(), triangle() + b"mine"
    webm = video(python, tmp_path / "clip.webm", 3, "libvpx-vp9")
    with serving([made.file], made.comfy, tmp_path / "state") as gateway:
        gateway.wait_ready()

        def bytes_of(item: dict[str, Any]) -> bytes:
            assert item["kind"] == "file"
            _, data, _ = gateway.ask("GET", item["url"])
            assert isinstance(data, bytes)
            return data

        def found(item: dict[str, Any]) -> dict[str, Any]:
            path = tmp_path / item["filename"]
            path.write_bytes(bytes_of(item))
            return probe(python, path)

        asked = {
            "voice": {"data": base64.b64encode(sound(sent)).decode()},
            "clip": {"data": base64.b64encode(webm).decode()},
            "solid": {"data": base64.b64encode(solid).decode(), "filename": "mine.glb"},
            "options": options,
        }
        status, said, _ = gateway.ask("POST", "/workflows/nodes", asked)
        assert status == 200, said
        outputs = said["outputs"]
        assert outputs["said"] == outputs["read"] == [{"kind": "json", "type": "application/json", "value": options}]
        (heard,) = outputs["heard"]
        sound_back = found(heard)
        assert (heard["type"], sound_back["codec"], sound_back["rate"]) == ("audio/flac", "flac", 16000)
        assert "prompt" in [name.lower() for name in sound_back["metadata"]]
        assert len(sound_back["samples"]) == len(sent)
        assert max(abs(a - b) for a, b in zip(sound_back["samples"], sent, strict=True)) <= 1
        (film,) = outputs["film"]
        film_back = found(film)
        assert (film["type"], film_back["size"], len(film_back["means"])) == ("video/mp4", [64, 48], 3)
        assert "mp4" in film_back["format"]
        assert "prompt" in film_back["metadata"]  # the workflow is inside
        assert all(abs(mean - 40 * n) < 8 for n, mean in enumerate(film_back["means"])), film_back
        (moving,) = outputs["moving"]
        animation = Image.open(BytesIO(bytes_of(moving)))
        assert (moving["type"], animation.format, animation.size) == ("image/webp", "WEBP", (64, 48))
        assert getattr(animation, "n_frames", 1) == 3
        assert str(animation.getexif()[0x0110]).startswith("prompt:")
        animation.seek(1)
        animation.load()
        assert animation.info["duration"] == 200
        (mesh,) = outputs["made_mesh"]
        solid_back = gltf_of(bytes_of(mesh))
        accessors = solid_back["accessors"]
        assert "prompt" in solid_back["asset"]["extras"]
        assert (mesh["type"], accessors[0]["count"], accessors[1]["count"]) == ("model/gltf-binary", 4, 12)
        (same,) = outputs["same_solid"]
        assert bytes_of(same) == solid
        assert [(each["filename"], bytes_of(each)) for each in outputs["files"]] == [("copy.bin", solid)] * 2

        status, said, _ = gateway.ask("POST", "/workflows/nodes", {})  # the capsule's own files and JSON
        assert status == 200, said
        assert said["parameters"]["options"] == said["outputs"]["read"][0]["value"] == {"kept": [1, True]}
        assert len(found(said["outputs"]["heard"][0])["samples"]) == 800
        film_back = found(said["outputs"]["film"][0])
        assert (film_back["codec"], len(film_back["means"])) == ("h264", 2)
        assert bytes_of(said["outputs"]["same_solid"][0]) == triangle()

        outside = ["/etc/passwd", "../input/voice.wav", str(made.comfy / "main.py"), "made/none.bin"]
        for path in outside:
            status, problem, _ = gateway.ask("POST", "/workflows/nodes", {"also": path})
            assert (status, problem["code"]) == (500, "node-failed"), problem
            assert path in problem["detail"]
            assert "output or temp folder" in problem["detail"]
        for parameters in ({"voice": {"data": "PGh0bWw+"}}, {"clip": {"data": "PGh0bWw+"}}):
            status, problem, _ = gateway.ask("POST", "/workflows/nodes", parameters)
            assert (status, problem["code"], problem["parameter"]) == (422, "bad-media", *parameters), problem


def test_image_and_restore_keep_our_pack_for_its_nodes(made: Made, tmp_path: Path) -> None:
    capsule = made.capsule
    assert [pack.name for pack in capsule.lock.packs if pack.used] == ["bench-v3", "comfy-capsule", "makers.py"]
    assert "comfy-capsule" in make_plan(capsule).packs
    models, store = [bench_install() / "models"], ModelStore(tmp_path / "store")
    done = restore(capsule, tmp_path / "ComfyUI", trust=True, models_from=models, store=store)
    assert done.table.equal, done.table.differing
    proved = {row.subject for row in done.table.rows if row.kind == "node"}
    assert {*API_INPUTS, *API_OUTPUTS} <= proved
