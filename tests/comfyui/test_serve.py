"""`comfy-capsule serve` in front of a real ComfyUI: one that runs already, and one that it starts itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import UPSCALE, RunningComfy, pixels
from bench.gateway import Gateway, blank_capsule, serving
from bench.pictures import example_picture
from bench.typescript import compiled
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.comfy import ComfyClient
from comfy_capsule.packager.contract import Contract, Input, Output, Target, client
from comfy_capsule.packager.export import make_capsule

IMAGE = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}}


def small(name: str, graph: dict[str, Any], output: Output, *inputs: Input) -> Capsule:
    """A capsule with this graph; all of them have the same environment."""
    contract = Contract(name=name, inputs=inputs, outputs=(output,))
    lock = blank_capsule().lock.model_copy(update={"name": name})
    return blank_capsule(lock=lock, graph=graph, contract=contract)


def capsules() -> list[Capsule]:
    """`blank` gives a picture; `words` a text, or fails; `painted` is refused; `slow` takes a minute."""
    words = {
        "1": IMAGE,
        "2": {
            "class_type": "BenchDescribe",
            "inputs": {"image": ["1", 0], "template": "{width}"},
            "_meta": {"title": "Tell"},
        },
        "3": {"class_type": "BenchShowText", "inputs": {"text": ["2", 0]}},
    }
    painted = {
        "1": {"class_type": "BenchColour", "inputs": {"colour": "teal", "width": 8, "height": 8}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "painted"}},
    }
    slow = {
        "1": {**IMAGE, "inputs": {**IMAGE["inputs"], "width": 4096, "height": 4096}},
        "2": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "bench-x2.safetensors"}},
        "3": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["2", 0], "image": ["1", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "slow"}},
    }

    def text(name: str, node: str) -> Input:
        return Input(name=name, type="string", default="", targets=(Target(node=node, input=name),))

    return [
        blank_capsule(),
        small("words", words, Output(name="told", type="text", nodes=("3",)), text("template", "2")),
        small("painted", painted, Output(name="picture", type="image", nodes=("2",)), text("colour", "1")),
        small("slow", slow, Output(name="picture", type="image", nodes=("4",))),
    ]


@pytest.fixture(scope="module")
def sealed(comfy: RunningComfy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The capsules as files, by name; `upscale` is a whole one, of the bench's own environment."""

    async def classes() -> dict[str, Any]:
        async with ComfyClient(comfy.base_url) as client:
            return await client.object_info()

    upscale = make_capsule(comfy.install, UPSCALE.ui, UPSCALE.api, asyncio.run(classes()), name="upscale")
    folder = tmp_path_factory.mktemp("capsules")
    paths = {}
    for capsule in (upscale, *capsules()):
        paths[capsule.name] = folder / f"{capsule.name}.capsule.zip"
        write_capsule(capsule, paths[capsule.name])
    return paths


SMALL = ("blank", "words", "painted", "slow")


@pytest.fixture(scope="module")
def attached(
    comfy: RunningComfy, sealed: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway of the small capsules, in front of the ComfyUI that all tests share."""
    paths = [sealed[name] for name in SMALL]
    with serving(paths, comfy.base_url, tmp_path_factory.mktemp("attached") / "state") as gateway:
        gateway.wait_ready()
        yield gateway


def picture_of(gateway: Gateway, workflow: str, parameters: object) -> bytes:
    status, execution, _ = gateway.ask("POST", f"/workflows/{workflow}", parameters)
    assert status == 200, execution
    ((item,),) = execution["outputs"].values()
    status, data, _ = gateway.ask("GET", item["url"])
    assert (status, len(data)) == (200, item["size"])
    return bytes(data)


def start(gateway: Gateway, workflow: str) -> str:
    """The id of an execution that ComfyUI works on now."""
    _, execution, _ = gateway.ask("POST", f"/workflows/{workflow}", {}, {"Prefer": "respond-async"})
    place = f"/executions/{execution['id']}"
    told = gateway.wait_for(
        lambda: gateway.ask("GET", place)[1], lambda told: told.get("progress", {}).get("value") is not None
    )
    assert told["state"] == "running", told
    return str(execution["id"])


def test_attached_and_started_give_the_picture_that_comfyui_gives(
    comfy: RunningComfy, sealed: dict[str, Path], tmp_path: Path
) -> None:
    ((_, by_hand),) = comfy.generate(UPSCALE.api).items()
    with serving([sealed["upscale"]], comfy.base_url, tmp_path / "attached") as gateway:
        gateway.wait_ready()
        first = picture_of(gateway, "upscale", {})
        assert pixels(first) == pixels(by_hand["images"][0]["bytes"])
        assert picture_of(gateway, "upscale", {}) == first  # cached by ComfyUI, and yet whole
        mine = base64.b64encode(example_picture(20, 10)).decode()
        assert pixels(picture_of(gateway, "upscale", {"picture": {"data": mine}}))[1] == (40, 20)
    with serving([sealed["upscale"]], comfy.install.root, tmp_path / "started") as gateway:
        status, problem, _ = gateway.ask("GET", "/readyz")
        assert (status, problem["code"]) == (503, "not-ready")
        gateway.wait_ready()
        assert picture_of(gateway, "upscale", {}) == first


def test_a_comfyui_that_is_killed_is_started_again(
    comfy: RunningComfy, sealed: dict[str, Path], tmp_path: Path
) -> None:
    cold = {"COMFY_CAPSULE_WARM_UP": "false"}  # `slow` is slow once
    with serving([sealed[name] for name in SMALL], comfy.install.root, tmp_path / "state", env=cold) as gateway:
        gateway.wait_ready()
        pid = json.loads((gateway.state / "worker-0" / "process.json").read_text())["pid"]
        id = start(gateway, "slow")
        os.kill(pid, signal.SIGKILL)
        gateway.wait_for(lambda: gateway.ask("GET", "/readyz")[0], lambda status: status == 503)
        gateway.wait_ready()
        told = gateway.wait_for(
            lambda: gateway.ask("GET", f"/executions/{id}")[1],
            lambda told: told["attempts"] == 2 and told["state"] == "running",
        )
        assert told["attempts"] == 2
        status, told, _ = gateway.ask("POST", f"/executions/{id}/cancel")
        assert (status, told["state"]) == (200, "cancelled")
        assert picture_of(gateway, "blank", {"color": 5})[:4] == b"\x89PNG"
        pid = json.loads((gateway.state / "worker-0" / "process.json").read_text())["pid"]
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
        assert not Path(f"/proc/{pid}").exists()


def test_the_run_that_warmed_it_up_can_be_asked_for(
    comfy: RunningComfy, sealed: dict[str, Path], tmp_path: Path
) -> None:
    with serving([sealed["blank"]], comfy.install.root, tmp_path / "state") as gateway:
        gateway.wait_ready()
        assert "cold" not in gateway.ask("GET", "/readyz")[1]
        assert gateway.ask("GET", "/executions")[1]["executions"] == []
        assert pixels(picture_of(gateway, "blank", {"color": 0, "size": 1}))[1] == (1, 1)


def test_an_unknown_parameter_is_named(attached: Gateway) -> None:
    status, problem, headers = attached.ask("POST", "/workflows/blank", {"colour": 1})
    assert (status, problem["parameter"], headers["Content-Type"].partition(";")[0]) == (
        422,
        "colour",
        "application/problem+json",
    )


def test_a_text_comes_in_the_answer(attached: Gateway) -> None:
    status, execution, _ = attached.ask("POST", "/workflows/words", {"template": "{width} by {height}"})
    assert (status, execution["outputs"]["told"][0]["value"]) == (200, "64 by 64")


def test_a_node_that_fails_is_told(attached: Gateway) -> None:
    status, problem, _ = attached.ask("POST", "/workflows/words", {"template": "{nothing}"})
    assert (status, problem["code"], problem["exception"]) == (500, "node-failed", "KeyError")
    assert problem["node"] == {"id": "2", "class": "BenchDescribe", "title": "Tell"}


def test_a_refused_graph_is_told(attached: Gateway) -> None:
    status, problem, _ = attached.ask("POST", "/workflows/painted", {"colour": "no colour"})
    assert (status, problem["code"], problem["node"]["id"]) == (500, "graph-refused", "1")
    assert "no CSS colour" in problem["detail"]


def test_a_running_execution_is_cancelled_and_the_next_one_runs(attached: Gateway) -> None:
    id = start(attached, "slow")
    _, waits, _ = attached.ask("POST", "/workflows/blank", {}, {"Prefer": "respond-async"})
    status, told, _ = attached.ask("POST", f"/executions/{waits['id']}/cancel")
    assert (status, told["state"]) == (200, "cancelled")  # in ComfyUI's own queue by now
    begun = time.monotonic()
    status, told, _ = attached.ask("POST", f"/executions/{id}/cancel")
    assert (status, told["state"]) == (200, "cancelled")
    assert time.monotonic() - begun < 10
    assert picture_of(attached, "blank", {"color": 9})[:4] == b"\x89PNG"


def test_a_killed_gateway_finds_its_execution_again(
    comfy: RunningComfy, sealed: dict[str, Path], tmp_path: Path
) -> None:
    paths = [sealed[name] for name in SMALL]
    with serving(paths, comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        id = start(gateway, "slow")
        _, queued, _ = gateway.ask("POST", "/workflows/blank", {"color": 3}, {"Prefer": "respond-async"})
        gateway.process.kill()
        gateway.process.wait()
    with serving(paths, comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        assert gateway.ask("GET", f"/executions/{id}")[1]["state"] == "running"
        status, told, _ = gateway.ask("POST", f"/executions/{id}/cancel")
        assert (status, told["state"], told["attempts"]) == (200, "cancelled", 1)
        _, told, _ = gateway.ask("GET", f"/executions/{queued['id']}", None, {"Prefer": "wait=20"})
        assert told["state"] == "succeeded"


def test_generated_clients_call_it(comfy: RunningComfy, sealed: dict[str, Path], tmp_path: Path) -> None:
    """Python as a program, curl in a shell, TypeScript through its own strict compiler: each gives the same picture."""
    (tmp_path / "picture.png").write_bytes(example_picture(20, 10))
    contract = read_capsule(sealed["upscale"]).contract
    (output,) = contract.outputs
    with serving([sealed["upscale"]], comfy.base_url, tmp_path / "state") as gateway:
        gateway.wait_ready()
        mine = base64.b64encode((tmp_path / "picture.png").read_bytes()).decode()
        wanted = pixels(picture_of(gateway, "upscale", {"picture": {"data": mine}, "strength": 0.25}))
        (tmp_path / "client.py").write_text(client(contract, "python", gateway.url))
        words = [sys.executable, "client.py", "picture=picture.png", "strength=0.25"]
        subprocess.run(words, cwd=tmp_path, check=True)
        assert pixels((tmp_path / f"{output.name}-0").read_bytes()) == wanted
        wrong = subprocess.run([*words[:2], "strength=9"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert wrong.returncode == 1
        assert "strength" in wrong.stderr

        command = client(contract, "curl", gateway.url)
        said = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert json.loads(said)["state"] == "succeeded"

        (tmp_path / "client.ts").write_text(client(contract, "typescript", gateway.url))
        compiled(tmp_path / "client.ts")
        (tmp_path / "call.mjs").write_text(CALL % {"output": output.name})
        subprocess.run(["node", "call.mjs"], cwd=tmp_path, check=True)
        assert pixels((tmp_path / "by-node.png").read_bytes()) == wanted


CALL = """
import { readFileSync, writeFileSync } from "node:fs";
import { run } from "./client.mjs";
const picture = new File([readFileSync("picture.png")], "picture.png", { type: "image/png" });
const outputs = await run({ picture, strength: 0.25 });
writeFileSync("by-node.png", Buffer.from(await outputs.%(output)s[0].arrayBuffer()));
const refused = await run({ strength: 9 }).catch((error) => error.message);
if (!refused.includes("strength")) throw new Error(refused);
"""
