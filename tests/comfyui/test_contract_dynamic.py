"""Fetched options, arrays, growing inputs and unions in a real ComfyUI: what the contract binds, it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bench import RunningComfy, fresh_install, running
from comfy_capsule.packager.comfy import ComfyClient, GraphRefused
from comfy_capsule.packager.contract import Contract, InvalidParameters, bind, build_contract
from graphs import INFO, load, mark

Json = dict[str, Any]

PACK = """
from aiohttp import web
from server import PromptServer

@PromptServer.instance.routes.get("/bench/voices")
async def voices(request):
    return web.json_response(["Ann", "Bob"])

class BenchVoice:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE, CATEGORY = (), "run", True, "bench"

    @classmethod
    def INPUT_TYPES(cls):
        tags = {"options": ["x", "y"], "multiselect": True}
        return {"required": {"voice": ("COMBO", {"remote": {"route": "/bench/voices"}}), "tags": ("COMBO", tags)}}

    @classmethod
    def VALIDATE_INPUTS(cls, voice):
        return voice in ("Ann", "Bob") or "nobody is called so"

    def run(self, voice, tags):
        return {"ui": {"text": [f"{voice} {tags}"]}}

NODE_CLASS_MAPPINGS = {"BenchVoice": BenchVoice}
"""


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningComfy]:
    folder = fresh_install(tmp_path_factory.mktemp("fetching") / "ComfyUI")
    (folder / "custom_nodes/bench-voices").mkdir()
    (folder / "custom_nodes/bench-voices/__init__.py").write_text(PACK)
    with running(folder) as comfy:
        yield comfy


def contract_of(comfy: RunningComfy, api: Json, node: str, **marked: Json) -> Contract:
    """The contract of `api` with these widgets of `node` marked, by their names."""
    ui_node: Json = {"id": int(node), "type": api[node]["class_type"], "properties": {}}
    for name, settings in marked.items():
        mark(ui_node, settings.pop("widget", name), name, **settings)

    async def asked() -> Json:
        async with ComfyClient(comfy.base_url) as client:
            return await client.object_info()

    return build_contract("demo", {"nodes": [ui_node], "links": []}, api, asyncio.run(asked()))


def text(comfy: RunningComfy, graph: Json) -> Any:
    ((_, output),) = comfy.generate(graph).items()
    return output["text"]


def test_the_definitions_of_the_unit_tests_are_comfyuis_own(comfy: RunningComfy) -> None:
    async def asked() -> Json:
        async with ComfyClient(comfy.base_url) as client:
            return await client.object_info()

    there = asyncio.run(asked())
    kept = load("core_classes.json")
    assert kept == {name: {"input": there[name]["input"]} for name in kept}
    assert not kept.keys() & INFO.keys()


def test_fetched_options_and_arrays(fetching: RunningComfy) -> None:
    api = {"1": {"class_type": "BenchVoice", "inputs": {"voice": "Ann", "tags": {"__value__": ["x"]}}}}
    contract = contract_of(fetching, api, "1", voice={}, tags={})
    assert text(fetching, bind(contract, api, {"tags": ["y", "x"]}).graph) == ["Ann ['y', 'x']"]
    assert text(fetching, bind(contract, api, {}).graph) == ["Ann ['x']"]
    for wrong in ({"voice": "Bob"}, {"tags": ["z"]}, {"tags": "x"}):
        with pytest.raises(InvalidParameters):
            bind(contract, api, wrong)
    named = contract_of(fetching, api, "1", voice={"choices": ["Ann", "Bob", "Eve"]})
    assert text(fetching, bind(named, api, {"voice": "Bob"}).graph) == ["Bob ['x']"]
    with pytest.raises(GraphRefused):  # what the user named, the node itself refuses
        text(fetching, bind(named, api, {"voice": "Eve"}).graph)


def test_growing_inputs_and_unions(comfy: RunningComfy) -> None:
    api = {
        "1": {"class_type": "ComfyMathExpression", "inputs": {"expression": "a / b", "values.a": 9, "values.b": 2}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    contract = contract_of(comfy, api, "1", left={"widget": "values.a"}, right={"widget": "values.b"})
    assert [float(each) for each in text(comfy, bind(contract, api, {}).graph)] == [4.5]
    found = text(comfy, bind(contract, api, {"left": 1, "right": 0.5}).graph)
    assert [float(each) for each in found] == [2.0]
