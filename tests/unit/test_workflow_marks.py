"""Marks are found wherever the editor keeps them, and lead to the right values of the API graph."""

from __future__ import annotations

from typing import Any

import pytest

from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.workflow import find_marks, unique_name
from graphs import mark, mark_output, node_of, twice

ROOT = "99999999-8888-4777-8666-555555555555"
OUTER = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def targets(ui: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    return {found.settings.name: list(found.targets) for found in find_marks(ui).inputs}


def test_a_graph_without_marks() -> None:
    ui, _ = twice()
    marks = find_marks(ui)
    assert (marks.source, marks.inputs, marks.outputs) == ("none", (), ())


def test_a_root_widget_sets_itself() -> None:
    ui, _ = twice()
    mark(node_of(ui, 21), "color", "background", title="Background", maxLength=7)
    found = find_marks(ui).inputs[0]
    assert found.targets == (("21", "color"),)
    assert (found.settings.title, found.settings.max_length) == ("Background", 7)


def test_a_mark_inside_a_definition_has_a_target_for_each_use() -> None:
    ui, _ = twice()
    mark(node_of(ui, 3, "Sample and soften"), "seed", "seed")
    mark(node_of(ui, 7, "Soften"), "sigma", "sigma")
    assert targets(ui) == {
        "seed": [("10:3", "seed"), ("11:3", "seed")],
        "sigma": [("10:4:7", "sigma"), ("11:4:7", "sigma")],
    }


def test_promoted_widgets_set_one_use_and_fan_out() -> None:
    ui, _ = twice()
    mark(node_of(ui, 10), "steps", "steps")
    mark(node_of(ui, 11), "sigma", "softness")
    mark(node_of(ui, 4, "Sample and soften"), "sigma", "all")
    assert targets(ui) == {
        "steps": [("10:3", "steps")],
        "softness": [("11:4:7", "sigma"), ("11:4:8", "sigma")],
        "all": [(f"{host}:4:{blur}", "sigma") for host in (10, 11) for blur in (7, 8)],
    }


@pytest.mark.parametrize("widget", ["cfg", "3: cfg"])
def test_promoted_widgets_before_1_47(widget: str) -> None:
    ui, _ = twice()
    host = node_of(ui, 10)
    host["properties"]["proxyWidgets"] = [["3", "seed"], ["3", "cfg"], ["-1", "steps"]]
    mark(host, widget, "cfg")
    mark(host, "steps", "steps")
    assert targets(ui) == {"cfg": [("10:3", "cfg")], "steps": [("10:3", "steps")]}


def test_a_proxy_of_a_proxy() -> None:
    ui, _ = twice()
    node_of(ui, 4, "Sample and soften")["properties"]["proxyWidgets"] = [["8", "amount"]]
    host = node_of(ui, 11)
    host["properties"]["proxyWidgets"] = [["4", "amount"]]
    mark(host, "amount", "amount")
    assert targets(ui) == {"amount": [("11:4:8", "amount")]}


def test_a_primitive_sets_what_it_feeds_through_reroutes_and_into_hosts() -> None:
    ui, _ = twice()
    primitive = node_of(ui, 20)
    mark(primitive, "value", "width")
    mark(primitive, "control_after_generate", "never")
    ui["links"].append([9, 20, 0, 11, 2, "FLOAT"])
    node_of(ui, 11)["inputs"][2]["link"] = 9
    assert targets(ui) == {
        "width": [("21", "width"), ("23", "width"), ("11:4:7", "sigma"), ("11:4:8", "sigma")],
        "never": [],
    }


def test_a_primitive_inside_feeds_out_of_its_definition() -> None:
    ui, _ = twice()
    soften = ui["definitions"]["subgraphs"][1]
    soften["nodes"].append({"id": 9, "type": "PrimitiveNode", "properties": {}, "widgets_values": [7]})
    soften["links"].append({"id": 6, "origin_id": 9, "origin_slot": 0, "target_id": -20, "target_slot": 1})
    outer = ui["definitions"]["subgraphs"][0]
    outer["links"].append({"id": 6, "origin_id": 4, "origin_slot": 1, "target_id": 3, "target_slot": 1})
    mark(soften["nodes"][-1], "value", "seed")
    assert targets(ui) == {"seed": [("10:3", "seed"), ("11:3", "seed")]}
    del soften["nodes"][-1]["widgets_values"]  # newer front-ends give it no widget when what it feeds has none
    assert targets(ui) == {"seed": []}


def test_a_definition_that_holds_itself_ends() -> None:
    ui, _ = twice()
    soften = ui["definitions"]["subgraphs"][1]
    soften["nodes"].append({"id": 9, "type": soften["id"], "inputs": [], "properties": {}})
    mark(node_of(ui, 7, "Soften"), "sigma", "sigma")
    assert len(targets(ui)["sigma"]) > 2


def test_outputs_have_the_ids_of_every_use() -> None:
    ui, _ = twice()
    mark_output(node_of(ui, 30), "first")
    mark_output(node_of(ui, 8, "Soften"), "inner", description="Both.")
    found = {each.settings.name: each.nodes for each in find_marks(ui).outputs}
    assert found == {"first": ("30",), "inner": ("10:4:8", "11:4:8")}


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"v": "new"},
        {"v": 1, "inputs": []},
        {"v": 1, "inputs": {"color": "name"}},
        {"v": 1, "inputs": {"color": {}}},
        {"v": 1, "inputs": {"color": {"name": "a", "minimum": "low"}}},
        {"v": 1, "output": {"title": "no name"}},
    ],
)
def test_marks_that_cannot_be_read_name_their_node(value: object) -> None:
    ui, _ = twice()
    node_of(ui, 21)["properties"]["capsule"] = value
    with pytest.raises(BadInput) as caught:
        find_marks(ui)
    assert caught.value.code == "mark-unreadable"
    assert "node 21 (EmptyImage)" in caught.value.message


def test_marks_of_a_later_version() -> None:
    ui, _ = twice()
    node_of(ui, 21)["properties"]["capsule"] = {"v": 2}
    with pytest.raises(BadInput) as caught:
        find_marks(ui)
    assert caught.value.code == "mark-too-new"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ([21, "color"], [("21", "color")]),
        (["21", "color", {"height": 80}], [("21", "color")]),
        ([f"{ROOT}:21:color", "color"], [("21", "color")]),
        ([f"{ROOT}:21:my%20widget%2F1", "x"], [("21", "my widget/1")]),
        ([f"{ROOT}:10:sigma", "sigma"], [("10:4:7", "sigma"), ("10:4:8", "sigma")]),
        ([f"{ROOT}:21", "color"], [("21", "color")]),
        ([f"{OUTER}:3", "seed"], [("10:3", "seed"), ("11:3", "seed")]),
        ([3, "cfg"], [("10:3", "cfg")]),  # up to 1.46: promoted, by its inner id
        (["3", "steps"], [("10:3", "steps")]),  # the same, after 1.47 has turned the promotion into a link
        ([4, "sigma"], [("10:4:7", "sigma"), ("10:4:8", "sigma")]),
    ],
)
def test_app_mode_in_every_form(entry: list[Any], expected: list[tuple[str, str]]) -> None:
    ui, _ = twice()
    node_of(ui, 10)["properties"]["proxyWidgets"] = [["3", "cfg"]]
    ui["extra"]["linearData"] = {"inputs": [entry], "outputs": [30, "31"]}
    marks = find_marks(ui)
    assert marks.source == "app-mode"
    assert list(marks.inputs[0].targets) == expected
    assert [each.nodes for each in marks.outputs] == [("30",), ("31",)]


def test_app_mode_of_two_promoted_widgets_of_one_name_means_the_inner_nodes() -> None:
    ui, _ = twice()
    outer = ui["definitions"]["subgraphs"][0]
    outer["nodes"] += [{"id": 90 + n, "type": "KSampler", "properties": {}} for n in (1, 2)]
    node_of(ui, 10)["properties"]["proxyWidgets"] = [["91", "cfg"], ["92", "cfg"]]
    ui["extra"]["linearData"] = {"inputs": [[91, "cfg"], [92, "cfg"], [92, "steps"]], "outputs": []}
    marks = find_marks(ui)
    assert [set(each.targets) for each in marks.inputs] == [{("10:91", "cfg")}, {("10:92", "cfg"), ("11:92", "cfg")}]
    assert len(marks.unresolved) == 1, "the host shows no such widget"


def test_app_mode_gives_names_and_says_what_it_leaves_out() -> None:
    ui, _ = twice()
    ui["extra"]["linearData"] = {
        "inputs": [["10", "sigma", {"description": "How soft."}], [21, "width"], [23, "width"], [99, "x"], "junk"],
        "outputs": ["31", "98"],
    }
    marks = find_marks(ui)
    assert [each.settings.name for each in marks.inputs] == ["softness", "width", "width_2"]
    assert marks.inputs[0].settings.description == "How soft."
    assert marks.outputs[0].settings.name == "large_picture"
    assert len(marks.unresolved) == 3
    mark(node_of(ui, 21), "color", "mine")
    assert [each.settings.name for each in find_marks(ui).inputs] == ["mine"]  # ours come first


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Positive Prompt", "positive_prompt"),
        ("SaveImage", "save_image"),
        ("2nd pass!", "value_2nd_pass"),
        ("größe", "gr_e"),
        ("猫", "value"),
        ("a" * 80, "a" * 56),
    ],
)
def test_names_are_made_that_programs_can_use(text: str, name: str) -> None:
    taken: set[str] = set()
    assert unique_name(text, taken) == name
    assert unique_name(text, taken) == f"{name}_2"
