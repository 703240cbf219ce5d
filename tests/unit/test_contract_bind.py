"""Parameters go into a copy of the graph exactly as they were given, or are refused, each by its name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from comfy_capsule.packager.contract import (
    Binder,
    Contract,
    InvalidParameters,
    bind,
    build_contract,
    example_parameters,
    media_inputs,
)  # fmt: skip
from comfy_capsule.packager.contract.bind import SAFE_INTEGER
from comfy_capsule.packager.errors import CapsuleError
from graphs import INFO, mark, node_of, single, twice


def marked() -> tuple[Contract, dict[str, Any]]:
    ui, api = twice()
    mark(node_of(ui, 20), "value", "width")
    mark(node_of(ui, 21), "color", "background")
    mark(node_of(ui, 10), "steps", "steps", maximum=50)
    mark(node_of(ui, 3, "Sample and soften"), "seed", "seed")
    mark(node_of(ui, 3, "Sample and soften"), "sampler_name", "sampler")
    mark(node_of(ui, 3, "Sample and soften"), "prompt", "prompt", maxLength=20)
    mark(node_of(ui, 3, "Sample and soften"), "tiled", "tiled")
    mark(node_of(ui, 7, "Soften"), "sigma", "sigma")
    return build_contract("demo", ui, api, INFO), api


def problems(contract: Contract, api: dict[str, Any], parameters: Any) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as caught:
        bind(contract, api, parameters)
    assert caught.value.exit_status == 2
    return {problem.parameter: f"{problem.message} | {problem.allowed}" for problem in caught.value.problems}


def test_parameters_reach_every_target_and_the_graph_stays() -> None:
    contract, api = marked()
    before = copy.deepcopy(api)
    bound = bind(contract, api, {"width": 1024, "steps": 5, "sigma": 3, "seed": 2**64 - 1})
    inputs = {node: entry["inputs"] for node, entry in bound.graph.items()}
    assert (inputs["21"]["width"], inputs["23"]["width"]) == (1024, 1024)
    assert (inputs["10:3"]["steps"], inputs["11:3"]["steps"]) == (5, 20)
    assert (inputs["10:4:7"]["sigma"], inputs["11:4:7"]["sigma"], inputs["11:4:8"]["sigma"]) == (3, 3, 2.5)
    assert inputs["11:3"]["seed"] == 2**64 - 1
    assert api == before
    bound.graph["21"]["inputs"]["width"] = 1
    assert api == before


def test_the_defaults_give_back_an_equal_graph() -> None:
    contract, api = marked()
    assert bind(contract, api, example_parameters(contract)).graph == api
    assert bind(contract, api, {"seed": 7}).graph == api


def test_an_omitted_seed_is_drawn_and_returned() -> None:
    contract, api = marked()
    asked = []

    def draw(low: int, high: int) -> int:
        asked.append((low, high))
        return 42

    bound = bind(contract, api, {}, draw_seed=draw)
    assert asked == [(0, SAFE_INTEGER)]
    assert bound.parameters["seed"] == bound.graph["11:3"]["inputs"]["seed"] == 42
    assert bound.parameters["steps"] == 20
    assert "sigma" not in bound.parameters  # two uses, two values: there is no default
    drawn = {bind(contract, api, {}).parameters["seed"] for _ in range(5)}
    assert len(drawn) == 5
    assert all(0 <= seed <= SAFE_INTEGER for seed in drawn)


def test_a_marks_own_default_counts() -> None:
    ui, api = single("Blur", {"sigma": 1.0}, {"sigma": {"default": 2.0}})
    contract = build_contract("demo", ui, api, INFO)
    assert bind(contract, api, {}).graph["1"]["inputs"]["sigma"] == 2.0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"width": True}, "it is true or false | a whole number from 16 to 8192, a multiple of 8"),
        ({"width": "64"}, "it is a text"),
        ({"width": 64.5}, "it is a number"),
        ({"width": 8}, "it is 8 | a whole number from 16"),
        ({"width": 65}, "it is 65"),
        ({"width": 10**30}, "a whole number from 16 to 8192"),
        ({"width": None}, "it is null"),
        ({"sigma": float("nan")}, "not finite"),
        ({"sigma": float("inf")}, "not finite"),
        ({"sigma": 11}, "it is 11 | a number from 0.1 to 10.0"),
        ({"steps": 51}, "a whole number from 1 to 50"),
        ({"tiled": 1}, "it is a whole number | true or false"),
        ({"sampler": "magic"}, "'magic' is none of its choices | one of 'euler', 'ddim', 'uni_pc'"),
        ({"prompt": "x" * 21}, "it has 21 characters | a text of at most 20 characters"),
        ({"prompt": ["10:3", 0]}, "it is an array"),
        ({"background": "red"}, "a colour as #rrggbb"),
        ({"seed": -1}, "it is -1"),
        ({"unknown": 1}, "there is no such parameter | there are width, background,"),
    ],
)
def test_what_is_refused(parameters: dict[str, Any], words: str) -> None:
    contract, api = marked()
    found = problems(contract, api, parameters)
    assert list(found) == list(parameters)
    assert words in found[next(iter(parameters))]


def test_every_problem_is_told_at_once() -> None:
    contract, api = marked()
    assert set(problems(contract, api, {"a": 1, "width": "x", "steps": 0, "tiled": True})) == {"a", "width", "steps"}
    assert list(problems(contract, api, [1])) == [""]
    ui, api = single("Blur", {"sigma": 1.0}, {"sigma": {"required": True}})
    contract = build_contract("demo", ui, api, INFO)
    assert "it is missing" in problems(contract, api, {})["sigma"]


def test_a_whole_number_with_a_point_is_the_same_number() -> None:
    contract, api = marked()
    width = bind(contract, api, {"width": 64.0}).graph["21"]["inputs"]["width"]
    assert (width, type(width)) == (64, int)


def test_media_are_checked_as_sent_and_bound_as_names() -> None:
    ui, api = single("LoadImage", {"image": "cat.png"}, {"image": {}})
    contract = build_contract("demo", ui, api, INFO)
    assert [each.name for each in media_inputs(contract)] == ["image"]
    binder = Binder(contract, api)
    binder.check({"image": {"file": "abc"}})
    for value in ("cat.png", {"path": "/etc/passwd"}, {"url": "ftp://x"}):
        with pytest.raises(InvalidParameters):
            binder.check({"image": value})
    assert binder.bind({"image": "uploads/new.png"}).graph["1"]["inputs"]["image"] == "uploads/new.png"
    omitted = binder.bind({})
    assert (omitted.graph, omitted.parameters) == (api, {"image": "cat.png"})
    for name in ("", "../x", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "x.png [output]", "x [temp]", "a\0b", 5, {}):
        assert "image" in problems(contract, api, {"image": name})


def test_arrays_are_wrapped_as_the_front_end_wraps_them() -> None:
    curve = {"__type__": "CURVE", "__value__": [[0, 0], [1, 1]]}
    ui, api = single("Resize", {"points": curve, "tags": {"__value__": ["a"]}, "extra": {"a": 1}}, {
        "points": {}, "tags": {}, "extra": {}
    })  # fmt: skip
    contract = build_contract("demo", ui, api, INFO)
    inputs = bind(contract, api, {"points": [[0, 1]], "tags": ["b", "c"], "extra": [1, 2, 3]}).graph["1"]["inputs"]
    assert inputs["points"] == {"__type__": "CURVE", "__value__": [[0, 1]]}
    assert inputs["tags"] == {"__value__": ["b", "c"]}
    assert inputs["extra"] == {"__value__": [1, 2, 3]}
    assert bind(contract, api, {}).graph == api
    for link in (["1", 0], {"__value__": ["1", 0]}):  # ComfyUI would run another graph than the contract's
        assert "link" in problems(contract, api, {"extra": link})["extra"]


def test_a_graph_that_is_not_the_contracts() -> None:
    contract, api = marked()
    del api["10:3"]
    with pytest.raises(CapsuleError) as caught:
        bind(contract, api, {})
    assert caught.value.code == "contract-without-target"


def test_what_is_bound_leaves_the_graph_and_the_next_one_alone() -> None:
    ui, api = single("Resize", {"extra": {"a": [1]}}, {"extra": {}})
    contract = build_contract("demo", ui, api, INFO)
    binder = Binder(contract, api)
    first = binder.bind({"extra": {"a": [2]}}).graph
    first["1"]["inputs"]["extra"]["a"].append(3)
    assert binder.bind({}).graph == api == {"1": {**api["1"], "inputs": {"extra": {"a": [1]}}}}


def test_null_is_a_value_where_there_is_no_default() -> None:
    ui, api = single("Resize", {"extra": {"a": 1}}, {"extra": {}})
    contract = build_contract("demo", ui, api, INFO)
    (extra,) = contract.inputs
    bare = contract.model_copy(update={"inputs": (extra.model_copy(update={"default": None}),)})
    assert bind(bare, api, {"extra": None}).graph["1"]["inputs"]["extra"] is None
    assert bind(bare, api, {}).graph == api
