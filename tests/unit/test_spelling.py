"""A graph names options as the system it was made on spells them."""

from __future__ import annotations

from typing import Any

import pytest

from comfy_capsule.packager.contract import Contract, Input, Target, spellings


def spelled(word: str, options: list[Any], *, combo: bool = False) -> Any:
    """How a ComfyUI that lists `options` spells `word`; None for as it is."""
    definition = ["COMBO", {"options": options}] if combo else [options, {}]
    info = {"Loader": {"input": {"required": {"name": definition}}}}
    graph = {"1": {"class_type": "Loader", "inputs": {"name": word}}}
    found = spellings(graph, Contract(name="w"), info)
    return found.get(("1", "name"), {}).get(word)


@pytest.mark.parametrize("combo", [False, True])
@pytest.mark.parametrize(
    ("word", "options", "meant"),
    [
        ("sub\\m.safetensors", ["sub/m.safetensors", "m.safetensors"], "sub/m.safetensors"),
        ("sub/m.safetensors", ["sub\\m.safetensors"], "sub\\m.safetensors"),
        ("Sub\\M.safetensors", ["sub/m.safetensors"], "sub/m.safetensors"),
        ("Sub\\m", ["sub/m", "Sub/m"], "Sub/m"),  # the same case goes before another
        ("sub\\m", ["sub\\m", "sub/m"], None),  # it is listed
        ("SUB/m", ["sub/m", "Sub/m"], None),  # two fit
        ("a\\b/c", ["a/b\\c", "a\\b\\c"], None),
        ("other", ["sub/m"], None),
        ("7", [7, 8.5, None], None),
    ],
)
def test_the_one_option_that_is_meant(word: str, options: list[Any], meant: str | None, combo: bool) -> None:
    assert spelled(word, options, combo=combo) == meant


def test_choices_of_the_contract_are_spelled_too_and_what_is_no_choice_is_not() -> None:
    info = {
        "Loader": {
            "input": {
                "required": {
                    "name": [["sub/a", "sub/b"], {}],
                    "text": ["STRING", {}],
                    "mode": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "Sub/x", "inputs": {}}]}],
                    "far": ["COMBO", {"remote": {"route": "/x"}}],
                }
            }
        }
    }
    inputs = {"name": "sub\\a", "text": "SUB/A", "mode": "sub\\x", "far": "sub\\a", "odd": "sub\\a", "link": ["2", 0]}
    graph = {"1": {"class_type": "Loader", "inputs": inputs}, "2": {"class_type": "Gone", "inputs": {"name": "x"}}}
    along = Target(node="1", input="text", values={"sub\\b": 1})
    targets = (Target(node="1", input="name"), along)
    contract = Contract(
        name="w", inputs=(Input(name="model", type="choice", choices=("sub\\a", "sub\\b", 3), targets=targets),)
    )
    assert spellings(graph, contract, info) == {
        ("1", "name"): {"sub\\a": "sub/a", "sub\\b": "sub/b"},
        ("1", "mode"): {"sub\\x": "Sub/x"},
    }
