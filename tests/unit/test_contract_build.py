"""Marks become inputs and outputs with the node's own bounds; every wrong mark is one sentence that names it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comfy_capsule.packager.contract import (
    Contract,
    Input,
    bind,
    build_contract,
    build_with_notes,
    choice_key,
    contract_json,
    parameters_schema,
    read_contract_json,
)
from comfy_capsule.packager.errors import BadInput
from graphs import INFO, mark, mark_output, node_of, single, twice

SAMPLER = {
    "image": ["9", 0],
    "seed": 7,
    "steps": 20,
    "cfg": 7,
    "sampler_name": "euler",
    "model_name": "sd\\one.safetensors",
    "tiled": False,
    "prompt": "a cat",
}


def built(ui: dict[str, Any], api: dict[str, Any], **more: Any) -> dict[str, Input]:
    return {each.name: each for each in build_contract("demo", ui, api, INFO, **more).inputs}


def one(class_type: str, inputs: dict[str, Any], widget: str, **settings: Any) -> Input:
    ui, api = single(class_type, inputs, {widget: {"name": "it", **settings}})
    return built(ui, api)["it"]


def refused(ui: dict[str, Any], api: dict[str, Any]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        build_contract("demo", ui, api, INFO)
    assert caught.value.message.endswith(".")
    return caught.value


def test_types_and_bounds_are_the_nodes_own() -> None:
    ui, api = single("Sampler", SAMPLER, {name: {} for name in SAMPLER if name != "image"})
    found = built(ui, api)
    shape = {name: (each.type, each.default, each.minimum, each.maximum) for name, each in found.items()}
    assert shape == {
        "seed": ("seed", 7, 0, 2**64 - 1),
        "steps": ("integer", 20, 1, 100),
        "cfg": ("number", 7, 0.0, 30.0),
        "sampler_name": ("choice", "euler", None, None),
        "model_name": ("choice", "sd/one.safetensors", None, None),  # the separators of this server
        "tiled": ("boolean", False, None, None),
        "prompt": ("string", "a cat", None, None),
    }
    assert found["steps"].description == "How many."
    assert found["prompt"].multiline
    assert found["sampler_name"].choices == ("euler", "ddim", "uni_pc")


@pytest.mark.parametrize(
    ("class_type", "inputs", "widget", "kind"),
    [
        ("LoadImage", {"image": "cat.png"}, "image", "image"),
        ("LoadImageMask", {"image": "cat.png", "channel": "red"}, "image", "mask"),
        ("LoadImageMask", {"image": "cat.png", "channel": "red"}, "channel", "choice"),
        ("LoadAudio", {"audio": "bell.wav"}, "audio", "audio"),
        ("EmptyImage", {"color": "#ff8800"}, "color", "color"),
        ("EmptyImage", {"color": "red"}, "color", "string"),
        ("EmptyImage", {"width": 64, "extra": 1.5}, "extra", "number"),  # a widget that only browser code adds
        ("EmptyImage", {"width": 64, "extra": True}, "extra", "boolean"),
        ("Resize", {"points": {"__type__": "CURVE", "__value__": [[0, 1]]}}, "points", "json"),
        ("Resize", {"mode": "by size", "mode.width": 64}, "mode.width", "integer"),
    ],
)
def test_the_type_of_every_kind(class_type: str, inputs: dict[str, Any], widget: str, kind: str) -> None:
    assert one(class_type, inputs, widget).type == kind


def test_numbers_that_comfyui_would_convert_are_numbers() -> None:
    assert one("EmptyImage", {"width": "64"}, "width").default == 64
    assert one("EmptyImage", {"width": 64.0}, "width").default == 64
    assert one("Sampler", {**SAMPLER, "cfg": "7.5"}, "cfg").default == 7.5


def test_a_multiple_choice_is_an_array() -> None:
    each = one("Resize", {"tags": {"__value__": ["a", "c"]}}, "tags")
    assert (each.type, each.multiple, each.default, each.choices) == ("json", True, ["a", "c"], ("a", "b", "c"))


def test_a_dynamic_choice_keeps_the_graphs_shape() -> None:
    each = one("Resize", {"mode": "by size", "mode.width": 64}, "mode")
    assert each.choices == ("by size", "to size")  # by factor would ask for an input the graph does not have


def test_model_choices_are_the_capsules() -> None:
    ui, api = single("Sampler", SAMPLER, {"model_name": {}, "sampler_name": {}})
    found = built(ui, api, model_choices={choice_key("1", "model_name"): ["sd\\one.safetensors"]})
    assert found["model_name"].choices == ("sd/one.safetensors",)
    assert found["sampler_name"].choices == ("euler", "ddim", "uni_pc")


def test_a_mark_narrows() -> None:
    each = one("Sampler", SAMPLER, "steps", minimum=10, maximum=30, default=15, required=True, title="Steps")
    assert (each.minimum, each.maximum, each.default, each.required, each.title) == (10, 30, 15, True, "Steps")
    assert one("Sampler", SAMPLER, "sampler_name", choices=["ddim", "euler"]).choices == ("ddim", "euler")
    assert one("Sampler", SAMPLER, "prompt", maxLength=50).max_length == 50


@pytest.mark.parametrize(
    ("widget", "settings", "code"),
    [
        ("steps", {"minimum": 0}, "mark-widens"),
        ("steps", {"maximum": 1000}, "mark-widens"),
        ("sampler_name", {"choices": ["euler", "magic"]}, "mark-widens"),
        ("steps", {"minimum": 30, "maximum": 10}, "mark-bounds-cross"),
        ("steps", {"minimum": 30}, "mark-default-out-of-bounds"),
        ("steps", {"default": 200}, "mark-default-out-of-bounds"),
        ("steps", {"default": 2.5}, "mark-default-out-of-bounds"),
        ("tiled", {"default": 1}, "mark-default-out-of-bounds"),
        ("sampler_name", {"choices": ["ddim"]}, "mark-default-out-of-bounds"),
        ("prompt", {"maxLength": 3}, "mark-default-out-of-bounds"),
        ("steps", {"minimum": 1.5}, "mark-does-not-fit"),
        ("steps", {"step": 0}, "mark-does-not-fit"),
        ("steps", {"choices": [1, 2]}, "mark-does-not-fit"),
        ("steps", {"maxLength": 3}, "mark-does-not-fit"),
        ("prompt", {"minimum": 3}, "mark-does-not-fit"),
        ("steps", {"name": "Steps!"}, "mark-name-bad"),
        ("steps", {"name": "parameters"}, "mark-name-bad"),
        ("image", {}, "mark-without-target"),
        ("gone", {}, "mark-without-target"),
    ],
)
def test_marks_that_are_refused(widget: str, settings: dict[str, Any], code: str) -> None:
    error = refused(*single("Sampler", SAMPLER, {widget: {"name": "it", **settings}}))
    assert error.code == code
    assert f"widget {widget!r} of node 1 (Sampler)" in error.message


def test_a_mark_without_target_says_why() -> None:
    for change, words in (
        (lambda ui, api: api.pop("21"), "is not in the API graph"),
        (lambda ui, api: (api.pop("21"), node_of(ui, 21).update(mode=4)), "is bypassed"),
        (lambda ui, api: api["21"]["inputs"].update(color=["23", 0]), "a link feeds"),
        (lambda ui, api: api["21"]["inputs"].pop("color"), "does not have"),
    ):
        ui, api = twice()
        mark(node_of(ui, 21), "color", "color")
        change(ui, api)
        assert words in refused(ui, api).message


def test_one_mark_many_targets() -> None:
    ui, api = twice()
    mark(node_of(ui, 3, "Sample and soften"), "steps", "steps")
    mark(node_of(ui, 7, "Soften"), "sigma", "sigma")
    mark(node_of(ui, 20), "value", "width")
    found = built(ui, api)
    assert [target.node for target in found["steps"].targets] == ["10:3", "11:3"]
    assert found["steps"].default == 20
    assert found["sigma"].default is None  # 1.5 in one use and 2.5 in the other: omitted, both stay
    assert (found["width"].minimum, found["width"].maximum, found["width"].default) == (16, 8192, 256)


def test_targets_that_do_not_go_together() -> None:
    ui, api = twice()
    mark(node_of(ui, 20), "value", "width")
    ui["links"].append([9, 20, 0, 30, 1, "STRING"])
    node_of(ui, 30)["inputs"].append({"name": "filename_prefix", "widget": {"name": "filename_prefix"}, "link": 9})
    assert refused(ui, api).code == "targets-differ"


def test_two_marks_with_one_name_or_one_target() -> None:
    ui, api = twice()
    mark(node_of(ui, 21), "color", "same")
    mark(node_of(ui, 23), "color", "same")
    assert refused(ui, api).code == "mark-name-twice"
    ui, api = twice()
    mark(node_of(ui, 10), "steps", "first")
    mark(node_of(ui, 3, "Sample and soften"), "steps", "both")
    error = refused(ui, api)
    assert error.code == "mark-target-twice"
    assert "'steps' of node 10:3 (Sampler)" in error.message


def test_a_group_node_is_to_be_made_a_subgraph_first() -> None:
    ui, api = twice()
    ui["nodes"].append({"id": 40, "type": "workflow>mine", "properties": {}})
    mark(node_of(ui, 40), "seed", "seed")
    error = refused(ui, api)
    assert error.code == "mark-without-target"
    assert "makes subgraphs of group nodes" in error.cure


def test_outputs() -> None:
    ui, api = twice()
    contract = build_contract("demo", ui, api, INFO)
    assert contract.inputs == ()
    assert [(each.name, each.type, each.nodes) for each in contract.outputs] == [
        ("image", "image", ("30",)), ("large_picture", "image", ("31",))
    ]  # fmt: skip
    mark_output(node_of(ui, 31), "picture", title="Picture")
    outputs = build_contract("demo", ui, api, INFO).outputs
    assert [(each.name, each.title, each.nodes) for each in outputs] == [("picture", "Picture", ("31",))]


def test_outputs_that_are_refused() -> None:
    ui, api = twice()
    mark_output(node_of(ui, 21), "picture")
    assert refused(ui, api).code == "mark-not-an-output"
    ui, api = twice()
    mark_output(node_of(ui, 30), "picture")
    del api["30"]
    assert refused(ui, api).code == "mark-without-target"
    ui, api = twice()
    mark_output(node_of(ui, 30), "picture")
    mark_output(node_of(ui, 31), "picture")
    assert refused(ui, api).code == "mark-name-twice"
    ui, api = twice()
    mark_output(node_of(ui, 30), "My picture")
    assert refused(ui, api).code == "mark-name-bad"


def test_app_mode_entries_that_lead_nowhere_are_notes() -> None:
    ui, api = twice()
    ui["extra"]["linearData"] = {"inputs": [[21, "color"], [21, "gone"], [77, "x"]], "outputs": ["31"]}
    contract, notes = build_with_notes("demo", ui, api, INFO)
    assert [each.name for each in contract.inputs] == ["color"]
    assert len(notes) == 2
    assert "widget 'gone' of node 21" in notes[1]


def test_without_the_editors_graph_there_are_outputs_only() -> None:
    _, api = twice()
    contract = build_contract("demo", None, api, INFO)
    assert isinstance(contract, Contract)
    assert len(contract.outputs) == 2


def test_the_user_names_orders_and_groups() -> None:
    marked = {name: {"name": name} for name in ("seed", "steps", "cfg", "tiled")}
    ui, api = single("Sampler", SAMPLER, marked)
    places = [{"name": "cfg", "group": "Look"}, {"name": "gone"}, {"name": "steps", "later": 1}]
    ui["extra"] = {"capsule": {"v": 1, "title": "Cats", "description": "Draws cats.", "inputs": places}}
    contract = build_contract("demo", ui, api, INFO)
    assert (contract.title, contract.description) == ("Cats", "Draws cats.")
    assert [(each.name, each.group) for each in contract.inputs] == [
        ("cfg", "Look"), ("steps", ""), ("seed", ""), ("tiled", ""),
    ]  # fmt: skip
    schema = parameters_schema(contract)
    assert list(schema["properties"]) == ["cfg", "steps", "seed", "tiled"]
    assert (schema["title"], schema["properties"]["cfg"]["x-group"]) == ("Cats", "Look")
    assert "x-group" not in schema["properties"]["steps"]


def test_outputs_have_an_order_too() -> None:
    ui, api = single("Sampler", SAMPLER, {"seed": {"name": "seed"}})
    for number, name in (("8", "first"), ("9", "second")):
        api[number] = {"class_type": "SaveImage", "inputs": {}, "_meta": {"title": name}}
    ui["extra"] = {"capsule": {"v": 1, "outputs": [{"name": "second"}]}}
    assert [each.name for each in build_contract("demo", ui, api, INFO).outputs] == ["second", "first"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([], "mark-unreadable"),
        ("x", "mark-unreadable"),
        ({"v": 1, "inputs": "seed"}, "mark-unreadable"),
        ({"v": 1, "inputs": [{"group": "Look"}]}, "mark-unreadable"),
        ({"v": 1, "title": {}}, "mark-unreadable"),
        ({"v": 2}, "mark-too-new"),
    ],
)
def test_a_layout_that_cannot_be_read_is_not_guessed(said: object, code: str) -> None:
    ui, api = single("Sampler", SAMPLER, {"seed": {"name": "seed"}})
    ui["extra"] = {"capsule": said}
    assert refused(ui, api).code == code


def test_a_custom_combo_offers_its_own_options_and_keeps_its_index() -> None:
    inputs = {
        "choice": "3s",
        "index": 1,
        "option1": "2s",
        "option2": "3s",
        "option3": "",
        "option10": "9s",
        "option4": "2s",
    }
    info = {**INFO, "CustomCombo": {"input": {"required": {"choice": ["COMBO", {"options": []}]}}}}
    ui, api = single("CustomCombo", inputs, {"choice": {"name": "length"}})
    contract = build_contract("demo", ui, api, info)
    (length,) = contract.inputs
    assert (length.type, length.choices, length.default) == ("choice", ("2s", "3s", "9s"), "3s")
    assert contract == read_contract_json(json.loads(json.dumps(contract_json(contract))))
    node = length.targets[0].node
    for choice, index in (("2s", 0), ("9s", 3), ("3s", 1)):
        bound = bind(contract, api, {"length": choice}).graph[node]["inputs"]
        assert (bound["choice"], bound["index"]) == (choice, index)
    twice, api = single("CustomCombo", inputs, {"choice": {"name": "length"}, "index": {"name": "place"}})
    with pytest.raises(BadInput) as caught:
        build_contract("demo", twice, api, info)
    assert caught.value.code == "mark-target-twice"


def test_a_bound_that_no_float_is_is_drawn_in() -> None:
    """ComfyUI makes a float of the value and compares it with the whole number: 2**64 - 1 would become 2**64."""
    ends = {"min": -(2**64) + 1, "max": 2**64 - 1}
    info = {**INFO, "Trim": {"input": {"required": {"start": ["FLOAT", ends]}}}}
    ui, api = single("Trim", {"start": 0.0}, {"start": {}})
    (start,) = build_contract("demo", ui, api, info).inputs
    assert start.minimum is not None
    assert start.maximum is not None
    assert ends["min"] <= float(start.minimum) < -(2**63)
    assert 2**63 < float(start.maximum) <= ends["max"]
