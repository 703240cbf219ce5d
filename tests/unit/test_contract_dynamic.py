"""Inputs that grow, nest, unite or fetch: from ComfyUI 0.30.0's own definitions to the schema and into the graph."""

from __future__ import annotations

import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from comfy_capsule.packager.contract import (
    Input,
    InvalidParameters,
    bind,
    build_contract,
    compare_contracts,
    parameters_schema,
)
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.workflow import definition_of
from graphs import load, single

Json = dict[str, Any]

#: Taken from a running ComfyUI 0.30.0 (``/object_info``); `tests/comfyui` sees that they are still its own.
CORE: Json = load("core_classes.json")
#: As ComfyUI's API nodes and packs write what no core class does offline.
FETCHING: Json = {
    "Voices": {
        "input": {
            "required": {
                "voice": ["COMBO", {"tooltip": "Who speaks.", "remote": {"route": "/voices", "refresh_button": True}}],
                "style": ["COMBO", {"options": ["calm"], "remote": {"route": "/styles"}}],
                "legacy": [["a", "b"], {"remote": {"route": "/legacy"}}],
                "tags": ["COMBO", {"options": ["x", "y"], "multiselect": True}],
                "far_tags": ["COMBO", {"multiselect": True, "remote": {"route": "/tags"}}],
                "old_tags": [["x", "y"], {"multi_select": {"placeholder": "…"}}],
            }
        }
    }
}
INFO = {**CORE, **FETCHING}


class Made:
    """A contract of one node with each of `marked` as an input of that name, dots written as ``_``."""

    def __init__(self, class_type: str, inputs: Json, *marked: str, **settings: Any) -> None:
        marks = {widget: {"name": widget.replace(".", "_"), **settings} for widget in marked}
        self.ui, self.api = single(class_type, inputs, marks)
        self.api |= {node: {"class_type": "Other", "inputs": {}} for node in ("8", "9")}
        self.contract = build_contract("demo", self.ui, self.api, INFO)
        self.schema = parameters_schema(self.contract)
        Draft202012Validator.check_schema(self.schema)

    def input(self, name: str) -> Input:
        return next(each for each in self.contract.inputs if each.name == name)

    def bound(self, **parameters: Any) -> Json:
        Draft202012Validator(self.schema).validate(parameters)
        return bind(self.contract, self.api, parameters).graph["1"]["inputs"]

    def refuses(self, **parameters: Any) -> bool:
        try:
            bind(self.contract, self.api, parameters)
        except InvalidParameters:
            return not Draft202012Validator(self.schema).is_valid(parameters)
        return False


def test_a_child_of_an_input_that_grows_by_names() -> None:
    made = Made(
        "ComfyMathExpression",
        {"expression": "a - b", "values.a": ["9", 0], "values.b": 81, "values.c": 2.5},
        "expression", "values.b", "values.c",
    )  # fmt: skip
    assert made.schema["properties"]["values_b"]["type"] == "number"  # FLOAT,INT,BOOLEAN: as the value is a number
    found = made.bound(values_b=-0.5, values_c=3, expression="b")
    assert found == {"expression": "b", "values.a": ["9", 0], "values.b": -0.5, "values.c": 3}
    assert made.refuses(values_b="1")
    assert made.refuses(values_b=True)
    with pytest.raises(BadInput) as caught:
        Made("ComfyMathExpression", {"expression": "a", "values.a": ["9", 0]}, "values.a")
    assert caught.value.code == "mark-without-target"


def test_a_child_of_an_input_that_grows_by_number_has_its_own_type() -> None:
    inputs = {"fragment_shader": "x", "size_mode": "from_input", "floats.u_float0": 1, "ints.u_int19": 4}
    made = Made("GLSLShader", inputs, "floats.u_float0", "ints.u_int19")
    assert [(each.name, each.type) for each in made.contract.inputs] == [
        ("floats_u_float0", "number"),
        ("ints_u_int19", "integer"),
    ]
    found = made.bound(floats_u_float0=0.25, ints_u_int19=5)
    assert (found["floats.u_float0"], found["ints.u_int19"]) == (0.25, 5)
    assert definition_of("GLSLShader", "ints.u_int20", inputs, INFO) is None  # one more than there can be


def test_an_input_that_grows_inside_a_dynamic_choice() -> None:
    inputs = {"model": "Flux.2 [pro]", "model.width": 1024, "model.images.image_2": ["9", 0], "seed": 1}
    grown = definition_of("Flux2ImageNode", "model.images.image_2", inputs, INFO)
    assert grown is not None
    assert grown.kind == "IMAGE"
    made = Made("Flux2ImageNode", inputs, "model", "model.width", "seed")
    width = made.input("model_width")
    assert (width.minimum, width.maximum, width.step) == (256, 2048, 32)
    assert made.input("model").choices == ("Flux.2 [pro]", "Flux.2 [max]")  # both ask for the same inputs
    assert made.bound(model="Flux.2 [max]", model_width=512)["model.width"] == 512
    assert made.refuses(model_width=513)


def test_a_dynamic_choice_keeps_to_the_options_with_the_same_children() -> None:
    inputs = {
        "input": ["9", 0], "resize_type": "scale dimensions", "resize_type.width": 64, "resize_type.height": 32,
        "resize_type.crop": "center", "scale_method": "area",
    }  # fmt: skip
    made = Made("ResizeImageMaskNode", inputs, "resize_type", "resize_type.crop", "resize_type.width")
    assert made.input("resize_type").choices == ("scale dimensions",)
    assert made.schema["properties"]["resize_type_crop"]["enum"] == ["disabled", "center"]
    assert made.bound(resize_type_crop="disabled", resize_type_width=8)["resize_type.crop"] == "disabled"
    assert made.refuses(resize_type="scale width")
    hidden = definition_of("ResizeImageMaskNode", "resize_type.multiplier", inputs, INFO)
    assert hidden is None  # a child of another option


def test_a_union_with_bounds_and_one_of_everything() -> None:
    made = Made("LTXVEmptyLatentAudio", {"frames_number": 97, "frame_rate": 25, "batch_size": 1}, "frame_rate")
    rate = made.schema["properties"]["frame_rate"]
    assert (rate["type"], rate["minimum"], rate["maximum"], rate["default"]) == ("number", 1.0, 1000.0, 25)
    assert made.bound(frame_rate=23.976)["frame_rate"] == 23.976
    assert made.refuses(frame_rate=0.5)
    for value, kind, other in ((5, "number", 0.5), ("5", "string", "six"), (True, "boolean", False)):
        made = Made("ComfyNumberConvert", {"value": value}, "value")
        assert made.input("value").type == kind
        assert made.bound(value=other)["value"] == other


def test_whatever_grows_untyped_is_of_the_type_of_its_value() -> None:
    made = Made("StringFormat", {"f_string": "{a}{b}", "values.a": "x", "values.b": 3}, "values.a", "values.b")
    assert [each.type for each in made.contract.inputs] == ["string", "integer"]


def test_options_that_are_fetched_are_those_that_are_known() -> None:
    inputs = {"voice": "Ann", "style": "loud", "legacy": "b", "far_tags": {"__value__": ["p"]}}
    made = Made("Voices", inputs, "voice", "style", "legacy", "far_tags")
    assert made.input("voice").choices == ("Ann",)
    assert made.input("voice").description.startswith("Who speaks. These are the options that were known")
    assert made.input("style").choices == ("calm", "loud")
    assert made.input("legacy").choices == ("a", "b")
    assert made.bound(voice="Ann", style="calm", far_tags=["p"])["style"] == "calm"
    assert made.refuses(voice="Bob")
    assert made.refuses(far_tags=["q"])


def test_a_user_may_name_further_options_of_those_that_are_fetched_and_of_no_others() -> None:
    made = Made("Voices", {"voice": "Ann"}, "voice", choices=["Ann", "Bob"])
    assert made.bound(voice="Bob")["voice"] == "Bob"
    assert made.refuses(voice="Eve")
    wider = compare_contracts(Made("Voices", {"voice": "Ann"}, "voice").contract, made.contract)
    assert wider.verdict == "widened"
    with pytest.raises(BadInput) as caught:
        Made("Voices", {"voice": "Ann"}, "voice", choices=["Bob"])
    assert caught.value.code == "mark-default-out-of-bounds"
    with pytest.raises(BadInput) as caught:
        Made("Voices", {"tags": {"__value__": ["x"]}}, "tags", choices=["x", "z"])
    assert caught.value.code == "mark-widens"


def test_a_fetched_picture_of_the_output_folder_is_a_picture() -> None:
    made = Made("LoadImageOutput", {"image": "made.png [output]"}, "image")
    assert (made.input("image").type, made.input("image").choices) == ("image", None)


def test_several_of_a_list_are_sent_as_an_array_and_wrapped_for_comfyui() -> None:
    for widget in ("tags", "old_tags"):
        made = Made("Voices", {widget: {"__value__": ["x"]}}, widget)
        assert made.schema["properties"][widget]["items"] == {"enum": ["x", "y"]}
        assert made.bound(**{widget: ["y", "x"]})[widget] == {"__value__": ["y", "x"]}
        assert made.bound(**{widget: []})[widget] == {"__value__": []}
        assert made.refuses(**{widget: ["z"]})
        assert made.refuses(**{widget: "x"})


def test_a_template_that_grows_without_end_is_cut_where_comfyui_does() -> None:
    template = {"input": {"required": {"n": ["INT", {}]}}, "prefix": "n", "max": 10**12}
    info = {"Endless": {"input": {"required": {"all": ["COMFY_AUTOGROW_V3", {"template": template}]}}}}
    begin = time.process_time()
    assert definition_of("Endless", "all.n99", {}, info) is not None
    assert definition_of("Endless", "all.n100", {}, info) is None
    assert time.process_time() - begin < 0.1
