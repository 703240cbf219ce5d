"""Values go into the editor graph where the editor keeps them, or nowhere at all."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from comfy_capsule.packager.contract import EditorGraph, bind, build_contract
from comfy_capsule.packager.workflow.stored import UNKNOWN, position, same_json
from graphs import INFO, mark, node_of, twice

Json = dict[str, Any]


def put(ui: Json, api: Json, *sets: tuple[str, str, Any]) -> Any:
    """The editor graph with these values (node, input, value) at the targets; sees that no graph changed."""
    before = copy.deepcopy((ui, api))
    other = copy.deepcopy(api)
    for node, name, value in sets:
        other[node]["inputs"][name] = value
    found = EditorGraph(ui, api, [(node, name) for node, name, _ in sets]).with_values(other)
    assert (ui, api) == before
    return found


def one(class_type: str, inputs: Json, /, **saved: Any) -> tuple[Json, Json]:
    """A graph of one node, as (ui, api)."""
    return (
        {"nodes": [{"id": 1, "type": class_type, **saved}], "links": []},
        {"1": {"class_type": class_type, "inputs": inputs}},
    )


def test_a_list_in_the_order_of_the_widgets_with_a_control_behind_the_seed() -> None:
    ui, api = one("K", {"seed": 7, "steps": 20, "cfg": 7}, widgets_values=[7, "randomize", 20, 7.0])
    found = put(ui, api, ("1", "seed", 9), ("1", "cfg", 2.5))
    assert found["nodes"][0]["widgets_values"] == [9, "randomize", 20, 2.5]


def test_a_widget_that_a_link_feeds_keeps_its_turn_and_a_plain_input_has_none() -> None:
    inputs = {"width": ["2", 0], "height": 64, "image": ["2", 0], "color": 0}
    slots = [{"name": "width", "widget": {"name": "width"}, "link": 1}, {"name": "image", "link": 2}]
    ui, api = one("E", inputs, inputs=slots, widgets_values=[5, 64, 0, "image"])  # an upload button ends it
    ui["nodes"].append({"id": 2, "type": "Two"})
    api["2"] = {"class_type": "Two", "inputs": {}}
    assert put(ui, api, ("1", "color", 3))["nodes"][0]["widgets_values"] == [5, 64, 3, "image"]


def test_an_object_by_name_and_the_named_values_of_newer_front_ends() -> None:
    ui, api = one("V", {"rate": 8, "format": "mp4"}, widgets_values={"rate": 8, "format": "mp4", "preview": {}})
    assert put(ui, api, ("1", "rate", 24))["nodes"][0]["widgets_values"]["rate"] == 24
    named = {"seed": 7, "control_after_generate": "fixed", "mode": "fixed"}
    ui, api = one("K", {"seed": 7, "mode": "fixed"}, widgets_values=[7, "fixed", "fixed"], widgets_values_named=named)
    node = put(ui, api, ("1", "seed", 8), ("1", "mode", "increment"))["nodes"][0]
    assert node["widgets_values"] == [8, "fixed", "increment"]
    assert node["widgets_values_named"] == {**named, "seed": 8, "mode": "increment"}


def test_lists_are_wrapped_in_the_api_graph_only() -> None:
    ui, api = one("M", {"tags": {"__value__": ["a"]}}, widgets_values=[["a"]])
    assert put(ui, api, ("1", "tags", {"__value__": ["b", "c"]}))["nodes"][0]["widgets_values"] == [["b", "c"]]
    assert put(ui, api, ("1", "tags", {"__value__": 3}))["nodes"][0]["widgets_values"] == [{"__value__": 3}]


def test_a_host_holds_its_own_value_and_a_primitive_its_own_and_its_targets() -> None:
    ui, api = twice()
    found = put(ui, api, ("10:3", "steps", 5), ("21", "width", 99), ("23", "width", 99))
    assert node_of(found, 10)["widgets_values"] == [5, 1.5]
    assert node_of(found, 11)["widgets_values"] == [20, 2.5]
    assert node_of(found, 20)["widgets_values"] == [99, "fixed"]
    assert [node_of(found, node)["widgets_values"][0] for node in (21, 23)] == [99, 99]
    assert found["definitions"] is ui["definitions"]  # only what changed is copied
    assert node_of(found, 30) is node_of(ui, 30)


def test_a_nested_host_is_overridden_by_the_outermost() -> None:
    ui, api = twice()
    found = put(ui, api, ("11:4:7", "sigma", 4), ("11:4:8", "sigma", 4))
    assert node_of(found, 11)["widgets_values"] == [20, 4]
    assert node_of(found, 4, "Sample and soften")["widgets_values"] == [1.5]


def test_before_promoted_values_stood_in_the_host_they_stand_inside() -> None:
    inner = {"id": 3, "type": "K", "widgets_values": [20, "euler"]}
    definition = {"id": "d", "name": "D", "inputs": [], "nodes": [inner], "links": []}
    host = {"id": 1, "type": "d", "widgets_values": [], "properties": {"proxyWidgets": [["3", "steps"]]}}
    ui: Json = {"nodes": [host], "links": [], "definitions": {"subgraphs": [definition]}}
    api: Json = {"1:3": {"class_type": "K", "inputs": {"steps": 20, "sampler": "euler"}}}
    found = put(ui, api, ("1:3", "steps", 4))
    assert found["definitions"]["subgraphs"][0]["nodes"][0]["widgets_values"] == [4, "euler"]
    assert found["nodes"] is ui["nodes"]


def test_a_definition_used_twice_takes_a_value_for_both_or_none() -> None:
    ui, api = twice()
    both = put(ui, api, ("10:3", "seed", 8), ("11:3", "seed", 8))
    assert node_of(both, 3, "Sample and soften")["widgets_values"][:2] == [8, "fixed"]
    assert put(ui, api, ("10:3", "seed", 8)) is None
    assert put(ui, api, ("10:4:7", "sigma", 3)) is None  # the host sets 10:4:8 too


@pytest.mark.parametrize(
    ("inputs", "values"),
    [
        ({"a": 1}, None),
        ({"a": 1}, []),
        ({"a": 1}, [2]),  # the two graphs were not exported together
        ({"a": True}, [1]),
        ({"a": 5, "b": "fixed"}, [5, "fixed", "fixed"]),  # b: which of the two? a is sure, see below
    ],
)
def test_what_is_not_certain_is_not_said(inputs: Json, values: Any) -> None:
    ui, api = one("N", inputs, widgets_values=values)
    name = list(inputs)[-1]
    assert put(ui, api, ("1", name, "x")) is None
    assert EditorGraph(ui, api, [("1", name)]).unplaced == (("1", name),)


def test_a_value_that_the_editor_makes_itself_may_lack_a_place() -> None:
    ui, api = one("CustomCombo", {"choice": "b", "index": 1}, widgets_values=["b", -1])
    graph = EditorGraph(ui, api, [("1", "choice"), ("1", "index")], [("1", "index")])
    other = {"1": {"class_type": "CustomCombo", "inputs": {"choice": "a", "index": 0}}}
    found = graph.with_values(other)
    assert found is not None
    assert found["nodes"][0]["widgets_values"] == ["a", -1]


def test_graphs_that_do_not_belong_together_give_none() -> None:
    ui, api = one("N", {"a": 1}, widgets_values=[1])
    assert EditorGraph(ui, api, []).with_values(api) is ui
    for wrong in ({}, {"nodes": []}, {"nodes": [{"id": 1, "type": "Other", "widgets_values": [1]}]}, {"nodes": [3]}):
        assert EditorGraph(wrong, api, []).with_values(api) is None
        assert EditorGraph(wrong, api, [("1", "a")]).with_values(api) is None


@pytest.mark.parametrize(
    ("text", "sent_as_it_is"),
    [
        ("a cat, (red:1.2) 50% \\o/ a|b }", True),
        ("a {red|blue} cat", False),
        ("https://example.com", False),  # a comment
        ("a /* b */", False),
        ("a \\| b", False),
        ("ends in \\", False),
    ],
)
def test_a_prompt_that_the_editor_would_send_otherwise_is_not_put_into_it(text: str, sent_as_it_is: bool) -> None:
    """The front-end draws one of the choices in a prompt and drops comments; a run through the API has the text."""
    ui, api = one("T", {"text": "a dog"}, widgets_values=["a dog"])
    other = {"1": {"class_type": "T", "inputs": {"text": text}}}
    for dynamic in (False, True):
        info = {"T": {"input": {"required": {"text": ["STRING", {"dynamicPrompts": dynamic}]}}}}
        found = EditorGraph(ui, api, [("1", "text")], object_info=info).with_values(other)
        assert (found is not None) == (sent_as_it_is or not dynamic)


def test_a_seed_that_javascript_rounds_is_not_put_into_it() -> None:
    ui, api = one("K", {"seed": 7}, widgets_values=[7, "fixed"])
    assert put(ui, api, ("1", "seed", 2**53)) is None
    assert put(ui, api, ("1", "seed", 2**53 - 1)) is not None


def test_words_between_percent_signs_are_not_put_where_the_editor_replaces_them() -> None:
    ui, api = one("SaveImage", {"filename_prefix": "a"}, widgets_values=["a"])
    assert put(ui, api, ("1", "filename_prefix", "%date:yyyy%/a")) is None
    assert put(ui, api, ("1", "filename_prefix", "50%")) is not None


def test_a_primitive_sets_what_it_is_linked_to_and_nothing_behind_a_reroute() -> None:
    ui, api = twice()
    api["23"]["inputs"]["width"] = node_of(ui, 23)["widgets_values"][0] = 128  # as front-ends 1.45 to 1.58 leave it
    found = put(ui, api, ("23", "width", 99))
    assert [node_of(found, node)["widgets_values"][0] for node in (20, 21, 23)] == [256, 256, 99]


def nested(depth: int) -> Json:
    """Definitions that hold the next one twice: 2 ** depth nodes in a small file."""
    held = [
        {"id": str(n), "nodes": [{"id": 1, "type": str(n + 1)}, {"id": 2, "type": str(n + 1)}]} for n in range(depth)
    ]
    return {"nodes": [{"id": 1, "type": "0"}], "definitions": {"subgraphs": held}}


@pytest.mark.parametrize(
    "ui",
    [
        nested(60),
        {"nodes": [{"id": 1, "type": "N", "inputs": [{"name": "a", "widget": "a"}], "widgets_values": [1]}]},
        {"nodes": [{"id": 1, "type": "N", "widgets_values": [1]}], "definitions": {"subgraphs": 7}},
        {"nodes": [{"id": 1, "type": "N", "inputs": 4, "widgets_values": [1]}], "links": 3},
        {"nodes": [{"id": 1, "type": ["N"], "properties": {"proxyWidgets": 5}}], "definitions": {"subgraphs": [{}]}},
    ],
)
def test_an_editor_graph_that_nobody_can_read_gives_none(ui: Json) -> None:
    api = {"1": {"class_type": "N", "inputs": {"a": 1}}}
    assert EditorGraph(ui, api, [("1", "a")]).with_values({"1": {"class_type": "N", "inputs": {"a": 2}}}) is None


def test_marks_inside_stay_and_what_a_contract_binds_is_placed() -> None:
    ui, api = twice()
    mark(node_of(ui, 20), "value", "width")
    mark(node_of(ui, 10), "steps", "steps", default=30)
    mark(node_of(ui, 3, "Sample and soften"), "prompt", "prompt")
    contract = build_contract("demo", ui, api, INFO)
    targets = [(to.node, to.input) for each in contract.inputs for to in each.targets]
    found: Any = EditorGraph(ui, api, targets).with_values(bind(contract, api, {"width": 64, "prompt": "a dog"}).graph)
    assert node_of(found, 20)["properties"] == node_of(ui, 20)["properties"]
    assert node_of(found, 10)["widgets_values"] == [30, 1.5]  # the mark's default, which the graph does not hold
    assert node_of(found, 3, "Sample and soften")["widgets_values"][-1] == "a dog"


def test_where_a_value_stands_in_a_list() -> None:
    assert position([5, "fixed", "fixed"], [("a", 5), ("b", "fixed")], "a") == 0
    assert position([5, 7, 7], [("a", 5), ("b", 7)], "b") is None  # a button's 7, or b's?
    assert position([5, 7, 7], [("a", 5), ("b", 7), ("c", 7)], "b") == 1
    assert position(["x.png", "randomize", "", 3], [("image", "x.png"), ("n", 3)], "n") == 3  # a choice has a filter
    assert position([1, 2], [("a", 1), ("a", 2)], "a") is None
    assert position([1, "old"], [("a", 1), ("made", "new"), ("b", 4)], "a") == 0  # made anew for each run
    assert position([1, "old", 4], [("a", 1), ("made", "new"), ("b", 4)], "b") is None
    assert position([UNKNOWN, 2], [("a", UNKNOWN), ("b", 2)], "b") == 1
    assert position([0] * 3000, [(str(i), 0) for i in range(3000)], "1") is None  # nobody's


def test_the_same_json() -> None:
    assert same_json([1, {"a": 2.0}], [1.0, {"a": 2}])
    assert not same_json([True], [1])
    assert not same_json({"a": 1}, {"b": 1})
    assert not same_json("1", 1)


def test_a_large_graph_costs_well_under_a_millisecond() -> None:
    nodes = [{"id": n, "type": "K", "widgets_values": [n, "fixed", 20, "euler"]} for n in range(500)]
    inputs = ("seed", "steps", "sampler")
    api = {str(n): {"class_type": "K", "inputs": dict(zip(inputs, (n, 20, "euler"), strict=True))} for n in range(500)}
    targets = [(str(n), "steps") for n in range(20)]
    graph = EditorGraph({"nodes": nodes, "links": []}, api, targets)
    other = copy.deepcopy(api)
    for node, name in targets:
        other[node]["inputs"][name] = 4
    times = []
    for _ in range(5):
        begin = time.process_time()
        assert graph.with_values(other) is not None
        times.append(time.process_time() - begin)
    assert min(times) < 0.001
