"""API nodes are inputs and outputs by being there: read from the graph, typed and bounded by what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comfy_capsule.packager.contract import Binder, Contract, bind, build_contract, contract_json, read_contract_json
from comfy_capsule.packager.contract.widgets import intersect, widget_of
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.workflow import API_OUTPUTS, Definition
from graphs import mark

Json = dict[str, Any]


def _info() -> Json:
    """The definitions as a real ComfyUI gives them; a test of the real one holds the names."""
    text, number = ["STRING", {"default": ""}], ["FLOAT", {"min": -1e12, "max": 1e12, "step": 0.01}]
    whole = ["INT", {"min": -(2**53) + 1, "max": 2**53 - 1}]
    inputs = {
        "CapsuleText": {"value": ["STRING", {"multiline": True}], "max_length": whole},
        "CapsuleInteger": {"value": whole, "minimum": whole, "maximum": whole},
        "CapsuleFloat": {"value": number, "minimum": number, "maximum": number},
        "CapsuleBoolean": {"value": ["BOOLEAN", {}]},
        "CapsuleChoice": {"value": text, "choices": ["STRING", {"multiline": True}]},
        "CapsuleSeed": {"value": ["INT", {"min": 0, "max": 2**64 - 1, "control_after_generate": True}]},
        "CapsuleImage": {"image": [["a.png"], {"image_upload": True}]},
        "CapsuleAudio": {"audio": ["COMBO", {"options": ["a.wav"], "audio_upload": True}]},
        "CapsuleVideo": {"video": ["COMBO", {"options": ["a.mp4"], "video_upload": True}]},
        "CapsuleFile": {"file": ["COMBO", {"options": ["a.bin"], "file_upload": True}]},
        "CapsuleJSON": {"value": ["STRING", {"multiline": True, "capsule_json": True}]},
        "CapsuleOutputImage": {"images": ["IMAGE", {}]},
        "CapsuleOutputAnimation": {"images": ["IMAGE", {}]},
        "CapsuleOutputVideo": {"video": ["VIDEO", {}]},
        "CapsuleOutputAudio": {"audio": ["AUDIO", {}]},
        "CapsuleOutput3D": {"mesh": ["MESH,FILE_3D_GLB", {}]},
        "CapsuleOutputText": {"text": ["STRING", {"forceInput": True}]},
        "CapsuleOutputJSON": {"value": ["*", {}]},
        "CapsuleOutputFile": {"path": ["*", {}]},
    }
    return {
        name: {
            "input": {"required": {**given, "name": text, "description": text}},
            "display_name": f"API {name}",
            "output_node": name.startswith("CapsuleOutput"),
        }
        for name, given in inputs.items()
    }


def api(**nodes: tuple[str, Json]) -> Json:
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def contract(graph: Json, ui: Json | None = None) -> Contract:
    return build_contract("demo", ui, graph, _info())


def test_each_kind_says_what_may_be_sent() -> None:
    graph = api(
        a=("CapsuleText", {"name": "prompt", "value": "a cat", "max_length": 40, "description": "What to draw."}),
        b=("CapsuleInteger", {"name": "width", "value": 512, "minimum": 64, "maximum": 2048}),
        c=("CapsuleFloat", {"name": "strength", "value": 0.5, "minimum": 0, "maximum": 1.0}),
        d=("CapsuleBoolean", {"name": "tiled", "value": True}),
        e=("CapsuleChoice", {"name": "style", "value": "ink", "choices": " oil \nink\n\nink\n"}),
        f=("CapsuleSeed", {"name": "seed", "value": 7}),
        g=("CapsuleImage", {"name": "photo", "image": "a.png"}),
        h=("CapsuleOutputImage", {"name": "picture", "images": ["g", 0]}),
        i=("CapsuleOutputText", {"name": "told", "text": ["a", 0]}),
    )
    made = contract(graph)
    said = {each.name: (each.type, each.default, each.minimum, each.maximum, each.choices) for each in made.inputs}
    assert said == {
        "prompt": ("string", "a cat", None, None, None),
        "width": ("integer", 512, 64, 2048, None),
        "strength": ("number", 0.5, 0, 1.0, None),
        "tiled": ("boolean", True, None, None, None),
        "style": ("choice", "ink", None, None, ("oil", "ink")),
        "seed": ("seed", 7, 0, 2**64 - 1, None),
        "photo": ("image", "a.png", None, None, None),
    }
    prompt = made.inputs[0]
    assert (prompt.max_length, prompt.description, prompt.title) == (40, "What to draw.", "")
    assert [(each.name, each.type, each.nodes) for each in made.outputs] == [
        ("picture", "image", ("h",)),
        ("told", "text", ("i",)),
    ]


def test_media_and_json_say_what_may_be_sent() -> None:
    graph = api(
        a=("CapsuleAudio", {"name": "voice", "audio": "a.wav"}),
        b=("CapsuleVideo", {"name": "clip", "video": "a.mp4"}),
        c=("CapsuleFile", {"name": "data", "file": "a.bin"}),
        d=("CapsuleJSON", {"name": "options", "value": '{"n": [1, true]}'}),
    )
    made = contract(graph)
    assert [(each.name, each.type, each.default) for each in made.inputs] == [
        ("voice", "audio", "a.wav"),
        ("clip", "video", "a.mp4"),
        ("data", "file", "a.bin"),
        ("options", "json", {"n": [1, True]}),
    ]
    assert read_contract_json(json.loads(json.dumps(contract_json(made)))) == made


def test_each_output_says_what_it_gives() -> None:
    kinds = {
        "CapsuleOutputImage": "image",
        "CapsuleOutputAnimation": "animation",
        "CapsuleOutputVideo": "video",
        "CapsuleOutputAudio": "audio",
        "CapsuleOutput3D": "3d",
        "CapsuleOutputText": "text",
        "CapsuleOutputJSON": "json",
        "CapsuleOutputFile": "file",
    }
    assert kinds.keys() == API_OUTPUTS
    graph = api(**{kind.lower(): (kind, {"name": kind.lower()}) for kind in kinds})
    assert {each.name: each.type for each in contract(graph).outputs} == {k.lower(): v for k, v in kinds.items()}


@pytest.mark.parametrize("value", [{"a": [1, 2.5]}, ["9", 0], {"__value__": 1}, [], "text", 7, 1.0, True, None, "ä"])
def test_any_json_that_is_sent_reaches_the_graph_as_its_text(value: Any) -> None:
    graph = api(a=("CapsuleJSON", {"name": "options", "value": '{"a":1}'}))
    binder = Binder(contract(graph), graph)
    binder.check({"options": value})
    bound = binder.bind({"options": value})
    text = bound.graph["a"]["inputs"]["value"]
    assert isinstance(text, str)
    assert json.dumps(json.loads(text)) == json.dumps(value)
    assert bound.parameters == {"options": value}
    assert graph["a"]["inputs"]["value"] == '{"a":1}'


@pytest.mark.parametrize("text", ['{ "a" : 1,\n "b": null }', "null", "3", '"ä"'])
def test_json_that_is_left_out_stays_as_it_was_written(text: str) -> None:
    graph = api(a=("CapsuleJSON", {"name": "options", "value": text}))
    assert bind(contract(graph), graph, {}).graph == graph
    assert bind(contract(graph), graph, {"options": json.loads(text)}).graph == graph


def test_true_is_not_one() -> None:
    graph = api(a=("CapsuleJSON", {"name": "options", "value": "[1]"}))
    assert bind(contract(graph), graph, {"options": [True]}).graph["a"]["inputs"]["value"] == "[true]"


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", "[-Infinity]", "1e999", "[" * 100_000])
def test_json_that_is_none_is_refused_by_the_name_of_its_node(text: str) -> None:
    graph = api(**{"7": ("CapsuleJSON", {"name": "options", "value": text})})
    with pytest.raises(BadInput) as error:
        contract(graph)
    assert error.value.code == "mark-default-not-json"
    assert "of node 7 (CapsuleJSON) is no JSON: " in error.value.message


def test_a_text_and_a_value_are_not_set_by_one_mark() -> None:
    first = Definition("STRING", settings={"capsule_json": True})
    with pytest.raises(BadInput, match="one takes JSON as a text"):
        intersect(widget_of(first, "A", "value", "{}"), widget_of(None, "B", "value", {}))


def test_its_title_is_the_title() -> None:
    graph = api(a=("CapsuleText", {"name": "prompt", "value": ""}), b=("CapsuleText", {"name": "other", "value": ""}))
    graph["a"]["_meta"] = {"title": "What to draw"}
    graph["b"]["_meta"] = {"title": "API CapsuleText"}  # as its class is called
    assert [each.title for each in contract(graph).inputs] == ["What to draw", ""]


def test_it_stands_beside_marks_and_above_app_mode() -> None:
    graph = api(
        **{
            "1": ("CapsuleText", {"name": "prompt", "value": ""}),
            "2": ("CapsuleFloat", {"name": "x", "value": 0.0}),
        }
    )
    ui: Json = {"nodes": [{"id": 1, "type": "CapsuleText"}, {"id": 2, "type": "CapsuleFloat", "properties": {}}]}
    ui["extra"] = {"linearData": {"inputs": [[2, "value"]], "outputs": []}}
    assert [each.name for each in contract(graph, ui).inputs] == ["prompt", "x"]
    mark(ui["nodes"][1], "minimum", "lowest")
    graph["2"]["inputs"]["minimum"] = 0.0
    assert [each.name for each in contract(graph, ui).inputs] == ["lowest", "prompt", "x"]


def test_a_definition_used_twice_is_one_input() -> None:
    inner = {"id": 3, "type": "CapsuleText", "properties": {}}
    definition = {"id": "d", "name": "D", "nodes": [inner], "links": [], "inputs": [], "outputs": [], "widgets": []}
    hosts = [{"id": number, "type": "d", "properties": {}} for number in (10, 11)]
    ui: Json = {"nodes": hosts, "links": [], "definitions": {"subgraphs": [definition]}, "version": 0.4}
    graph = api(**{f"{number}:3": ("CapsuleText", {"name": "prompt", "value": ""}) for number in (10, 11)})
    (made,) = contract(graph, ui).inputs
    assert [(each.node, each.input) for each in made.targets] == [("10:3", "value"), ("11:3", "value")]
    graph["11:3"]["inputs"]["name"] = "other"  # its name promoted, and set apart on the second host
    assert [each.name for each in contract(graph, ui).inputs] == ["prompt", "other"]
    with pytest.raises(BadInput, match="Two marks name an input 'prompt'"):
        contract(
            api(a=("CapsuleText", {"name": "prompt", "value": ""}), b=("CapsuleSeed", {"name": "prompt", "value": 1}))
        )


@pytest.mark.parametrize(
    ("inputs", "code", "sentence"),
    [
        ({"name": "Not good", "value": 1}, "mark-name-bad", "small letters"),
        ({"name": "x", "value": 500, "maximum": 100}, "mark-default-out-of-bounds", "the maximum is 100"),
        ({"name": "x", "value": 1, "minimum": 9, "maximum": 3}, "mark-bounds-cross", "above its maximum"),
        ({"name": ["2", 0], "value": 1}, "mark-unreadable", "a link feeds its name"),
        ({"name": "x", "value": ["2", 0]}, "mark-without-target", "a link feeds"),
        ({"name": "x", "value": 1, "maximum": "much"}, "mark-unreadable", "maximum"),
        ({"value": 1}, "mark-unreadable", "name: Field required"),
    ],
)
def test_what_makes_no_contract_is_refused(inputs: Json, code: str, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        contract(api(a=("CapsuleInteger", inputs)))
    assert error.value.code == code
    assert sentence in str(error.value)


@pytest.mark.parametrize(("choices", "value"), [("\n \n", ""), ("oil\nink", "chalk")])
def test_a_choice_is_one_of_its_choices(choices: str, value: str) -> None:
    with pytest.raises(BadInput):
        contract(api(a=("CapsuleChoice", {"name": "style", "value": value, "choices": choices})))
