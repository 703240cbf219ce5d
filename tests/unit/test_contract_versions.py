"""Two versions of a contract: what breaks for those who call the first one."""

from __future__ import annotations

from typing import Any

import pytest

from comfy_capsule.packager.contract import Contract, Input, Output, Target, compare_contracts

AT = (Target(node="1", input="x"),)


def of(*inputs: Input, outputs: tuple[Output, ...] = (), name: str = "demo") -> Contract:
    return Contract(name=name, inputs=inputs, outputs=outputs)


def changes(before: Contract, after: Contract) -> tuple[str, list[tuple[str, str]]]:
    found = compare_contracts(before, after)
    return found.verdict, [(change.effect, f"{change.of} {change.name} {change.message}") for change in found.changes]


def test_the_same_is_compatible() -> None:
    one = of(Input(name="x", type="integer", default=1, targets=AT))
    other = of(Input(name="x", type="integer", default=1, title="Other", targets=(Target(node="9", input="y"),)))
    assert changes(one, other) == ("compatible", [])


@pytest.mark.parametrize(
    ("old", "new", "effect", "message"),
    [
        ({"maximum": 9}, {"maximum": 5}, "breaking", "the maximum falls from 9 to 5"),
        ({"maximum": 5}, {"maximum": 9}, "widened", "the maximum rises from 5 to 9"),
        ({"minimum": 1}, {"minimum": 2}, "breaking", "the minimum rises from 1 to 2"),
        ({"minimum": 2}, {}, "widened", "has no minimum any more; it was 2"),
        ({}, {"minimum": 2}, "breaking", "has a minimum, 2"),
        ({"step": 8}, {"step": 4}, "widened", "the step is 4, not 8"),
        ({"step": 4}, {"step": 8}, "breaking", "the step is 8, not 4"),
        ({}, {"step": 8}, "breaking", "the step is 8"),
        ({"default": 1}, {"default": 2}, "compatible", "when left out, is 2, not 1"),
        ({"default": 1}, {"required": True, "default": 1}, "breaking", "is required now"),
        ({"required": True}, {}, "widened", "may be left out now"),
        ({}, {"type": "number"}, "widened", "is of type number, not integer"),
        ({"type": "number"}, {"type": "integer"}, "breaking", "is of type integer, not number"),
        (
            {"type": "string", "max_length": 9},
            {"type": "string", "max_length": 5},
            "breaking",
            "the longest text falls",
        ),
        ({"type": "image"}, {"type": "file"}, "widened", "is of type file, not image"),
        ({"type": "choice", "choices": ("a",)}, {"type": "choice", "choices": ("a", "b")}, "widened", "offers 'b' too"),
        (
            {"type": "choice", "choices": ("a", "b")},
            {"type": "choice", "choices": ("a",)},
            "breaking",
            "no longer offers",
        ),
        ({"type": "choice", "choices": (1,)}, {"type": "choice", "choices": (True,)}, "breaking", "no longer offers 1"),
        ({"type": "choice", "choices": ("a",)}, {"type": "string"}, "widened", "is of type string, not choice"),
        ({"type": "string"}, {"type": "choice", "choices": ("a",)}, "breaking", "is of type choice, not string"),
        ({"multiple": False}, {"multiple": True}, "breaking", "takes several values now"),
    ],
)
def test_of_an_input(old: dict[str, Any], new: dict[str, Any], effect: str, message: str) -> None:
    one, other = (Input(**{"name": "x", "type": "integer", "targets": AT, **said}) for said in (old, new))
    verdict, found = changes(of(one), of(other))
    assert verdict == effect
    assert found[0][0] == effect
    assert message in found[0][1]


def test_what_comes_and_goes() -> None:
    a, b = (Input(name=name, type="string", targets=AT) for name in "ab")
    picture, text = Output(name="it", type="image", nodes=("1",)), Output(name="it", type="text", nodes=("1",))
    assert changes(of(a), of(a, b)) == ("widened", [("widened", "input b is new")])
    assert changes(of(a), of()) == ("breaking", [("breaking", "input a is gone")])
    required = b.model_copy(update={"required": True})
    assert changes(of(), of(required))[1] == [("breaking", "input b is new, and required")]
    assert changes(of(outputs=(picture,)), of(outputs=(text,)))[0] == "breaking"
    assert changes(of(), of(outputs=(picture,))) == ("widened", [("widened", "output it is new")])
    assert changes(of(outputs=(picture,)), of())[1] == [("breaking", "output it is gone")]
    verdict, found = changes(of(a, b), of(a.model_copy(update={"default": "x"}), name="other"))
    assert verdict == "breaking"
    assert [effect for effect, _ in found] == ["breaking", "breaking", "compatible"]  # the worst first
