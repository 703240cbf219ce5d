"""The API is what its description says: schemathesis sends what the OpenAPI document allows and what it forbids, and
every answer must be one that the document has; none may be a failure of the gateway.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import gateway
from bench.pictures import example_picture
from bench.seed import SEED
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.gateway import read_settings

# Whether bytes are a picture, or a URL leads anywhere, no schema can say: that is a 422 all the same. And what is a
# number in a schema is its text in multipart: a file like any other.
_CONFIG = """
[[operations]]
include-path = "/files"
checks.negative_data_rejection.expected-statuses = ["201", "400", "401", "403", "413", "429"]

[[operations]]
include-path-regex = "/workflows/every"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"""


def every_type() -> Capsule:
    """A capsule with an input of each type that is no file, and a picture."""
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"a": "text", "b": 1, "c": 0.5, "d": True, "e": "x", "f": 7, "g": [1]},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "image": "own.png"}},
    }

    def given(name: str, kind: str, key: str, node: str = "1", **more: object) -> Input:
        return Input(name=name, type=kind, targets=(Target(node=node, input=key),), **more)  # type: ignore[arg-type]

    inputs = (
        given("words", "string", "a", default="text", max_length=20),
        given("count", "integer", "b", default=1, minimum=-3, maximum=9),
        given("share", "number", "c", default=0.5, minimum=0, maximum=1, required=True),
        given("flag", "boolean", "d", default=True),
        given("which", "choice", "e", default="x", choices=("x", "y", 3)),
        given("seed", "seed", "f", default=7, minimum=0, maximum=2**53 - 1),
        given("extra", "json", "g", default=[1]),
        given("picture", "image", "image", "2"),
    )
    contract = Contract(name="every", inputs=inputs, outputs=(Output(name="image", type="image", nodes=("2",)),))
    lock = blank_capsule().lock.model_copy(update={"name": "every"})
    return blank_capsule(lock=lock, graph=graph, contract=contract)


@pytest.mark.parametrize("keys", [False, True], ids=["open", "keys"])
async def test_every_answer_is_in_the_document(fake: FakeComfyUI, tmp_path: Path, keys: bool) -> None:
    (tmp_path / "keys").write_text("ann secret-a\n")
    settings = read_settings(
        {}, tmp_path / "keys" if keys else None, comfy=fake.url, state=tmp_path / "state", wait=2, wait_most=2
    )
    header = {"Authorization": "Bearer secret-a"} if keys else {}
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    async with gateway(settings, blank_capsule(), every_type()) as client:
        await client.post("/files", data=example_picture(8, 8), headers=header)
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", str(client.make_url("/openapi.json")),
            "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "30",
            "--seed", str(SEED), "--request-timeout", "20", "--no-color",
            *(f"-H{name}: {value}" for name, value in header.items()),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, f"seed {SEED}\n{said.decode()[-8000:]}"
    assert "Fuzzing" in said.decode()
