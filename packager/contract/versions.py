"""Two versions of a contract, compared as a caller of the first one would: what no longer works, what works anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from .models import MEDIA_TYPES, Contract, Input, Output
from .narrow import among

#: ``compatible``: every old call means what it meant, but for values it left out; ``widened``: and more can be said;
#: ``breaking``: some old call is refused, or gets another kind of answer.
Effect = Literal["compatible", "widened", "breaking"]

_WORSE: tuple[Effect, ...] = ("compatible", "widened", "breaking")
# What was sent as the first is understood as the second.
_WIDER_TYPES = {("integer", "number"), ("choice", "string"), ("color", "string")} | {
    (kind, "file") for kind in MEDIA_TYPES - {"file"}
}


class ContractChange(BaseModel):
    """One difference: of an ``input``, an ``output`` or the ``workflow`` itself, with what it means for a caller."""

    model_config = ConfigDict(frozen=True)

    effect: Effect
    of: Literal["workflow", "input", "output"]
    name: str
    message: str  # goes on after the name, e.g. ``the maximum falls from 100 to 50``


class ContractDifference(BaseModel):
    """All changes, the worst first, and the worst of them as the verdict."""

    model_config = ConfigDict(frozen=True)

    verdict: Effect
    changes: tuple[ContractChange, ...]


def compare_contracts(before: Contract, after: Contract) -> ContractDifference:
    """What changes for callers of `before` when `after` takes its place."""
    found = [*_workflow(before, after), *_inputs(before, after), *_outputs(before, after)]
    found.sort(key=lambda change: -_WORSE.index(change.effect))
    return ContractDifference(verdict=found[0].effect if found else "compatible", changes=tuple(found))


def _workflow(before: Contract, after: Contract) -> Iterator[ContractChange]:
    if before.name != after.name:
        message = f"its address is /workflows/{after.name} now"
        yield ContractChange(effect="breaking", of="workflow", name=before.name, message=message)


def _inputs(before: Contract, after: Contract) -> Iterator[ContractChange]:
    old, new = ({each.name: each for each in contract.inputs} for contract in (before, after))
    for name in sorted(old.keys() | new.keys()):
        for effect, message in _input(old.get(name), new.get(name)):
            yield ContractChange(effect=effect, of="input", name=name, message=message)


def _input(old: Input | None, new: Input | None) -> Iterator[tuple[Effect, str]]:
    if new is None:
        yield "breaking", "is gone"
        return
    if old is None:
        yield ("breaking", "is new, and required") if new.required else ("widened", "is new")
        return
    if old.required != new.required:
        yield ("breaking", "is required now") if new.required else ("widened", "may be left out now")
    if old.multiple != new.multiple:
        yield "breaking", "takes several values now" if new.multiple else "takes one value now"
    if old.type != new.type:
        wider = (old.type, new.type) in _WIDER_TYPES
        yield "widened" if wider else "breaking", f"is of type {new.type}, not {old.type}"
        if not wider:
            return  # its bounds mean something else now
    yield from _bound("minimum", old.minimum, new.minimum, higher_is_narrower=True)
    yield from _bound("maximum", old.maximum, new.maximum, higher_is_narrower=False)
    yield from _bound("longest text", old.max_length, new.max_length, higher_is_narrower=False)
    yield from _steps(old.step, new.step)
    yield from _choices(old.choices, new.choices)
    if old.default != new.default or isinstance(old.default, bool) != isinstance(new.default, bool):
        yield "compatible", f"when left out, is {_short(new.default)}, not {_short(old.default)}"


def _bound(what: str, old: Any, new: Any, *, higher_is_narrower: bool) -> Iterator[tuple[Effect, str]]:
    if old == new:
        return
    if new is None:
        yield "widened", f"has no {what} any more; it was {old}"
    elif old is None:
        yield "breaking", f"has a {what}, {new}"
    else:
        verb = "rises" if new > old else "falls"
        yield "breaking" if (new > old) == higher_is_narrower else "widened", f"the {what} {verb} from {old} to {new}"


def _steps(old: Any, new: Any) -> Iterator[tuple[Effect, str]]:
    if old == new:
        return
    if new is None:
        yield "widened", f"has no step any more; it was {old}"
        return
    finer = old is not None and old % new == 0
    yield "widened" if finer else "breaking", f"the step is {new}" + ("" if old is None else f", not {old}")


def _choices(old: tuple[Any, ...] | None, new: tuple[Any, ...] | None) -> Iterator[tuple[Effect, str]]:
    if new is None:
        return  # any value: its type tells
    gone = [choice for choice in old or () if not among(choice, new)]
    more = [choice for choice in new if not among(choice, old or ())]
    if gone:
        yield "breaking", f"no longer offers {_some(gone)}"
    if more and old is not None:
        yield "widened", f"offers {_some(more)} too"


def _outputs(before: Contract, after: Contract) -> Iterator[ContractChange]:
    old, new = ({each.name: each for each in contract.outputs} for contract in (before, after))
    for name in sorted(old.keys() | new.keys()):
        for effect, message in _output(old.get(name), new.get(name)):
            yield ContractChange(effect=effect, of="output", name=name, message=message)


def _output(old: Output | None, new: Output | None) -> Iterator[tuple[Effect, str]]:
    if new is None:
        yield "breaking", "is gone"
    elif old is None:
        yield "widened", "is new"
    elif old.type != new.type:
        yield "breaking", f"gives {new.type}, not {old.type}"


def _some(values: list[Any]) -> str:
    rest = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return ", ".join(map(_short, values[:3])) + rest


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
