"""Putting parameters into a graph: all are checked, none is changed, and the graph that was given stays as it was."""

from __future__ import annotations

import copy
import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import CapsuleError
from ..workflow.check import Graph, node_words
from .json_text import write_text
from .models import MEDIA_TYPES, Contract, Input, Target
from .schema import Schema, input_schema

#: Draws a seed between two bounds, both included.
DrawSeed = Callable[[int, int], int]
#: The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6).
SAFE_INTEGER = 2**53 - 1


class Problem(NamedTuple):
    """What is wrong with one parameter: its name, what was found, what is allowed."""

    parameter: str
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        allowed = f"; {self.allowed}" if self.allowed else ""
        return f"{self.parameter}: {self.message}{allowed}" if self.parameter else f"{self.message}{allowed}"


class InvalidParameters(CapsuleError):
    """Parameters that the contract does not allow. `problems` has one entry for each that is wrong."""

    exit_status = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        words = "; ".join(str(problem) for problem in problems)
        super().__init__("invalid-parameters", f"The parameters are not those of the contract: {words}.")
        self.problems = problems


class Bound(NamedTuple):
    """A graph with the parameters in it, and the whole set of them: given, drawn and default."""

    graph: dict[str, dict[str, Any]]
    parameters: dict[str, Any]


class Binder:
    """A contract and its API graph, ready to check and bind many sets of parameters."""

    def __init__(self, contract: Contract, graph: Graph) -> None:
        """Raises CapsuleError ``contract-without-target`` when the graph is not the contract's."""
        from jsonschema import Draft202012Validator  # only in the extras that serve

        self.contract = contract
        self._inputs = {each.name: each for each in contract.inputs}
        # What each call would otherwise look for in every input again; a large graph has thousands.
        self._places = {name: place for place, name in enumerate(self._inputs)}
        self._required = tuple(each for each in contract.inputs if each.required)
        self._seeds = tuple((each.name, *_seed_bounds(each)) for each in contract.inputs if each.type == "seed")
        self._defaults = {each.name: each.default for each in contract.inputs}
        self._template = {
            each.name: each.default for each in contract.inputs if each.type == "seed" or each.default is not None
        }
        self._schemas: dict[str, Schema] = {each.name: input_schema(each) for each in contract.inputs}
        self._validators = {name: Draft202012Validator(schema) for name, schema in self._schemas.items()}
        self._graph = _copied(graph)  # with the defaults in it; media have the capsule's own file there already
        for each in contract.inputs:
            _check_targets(self._graph, each)
            if each.default is not None and each.type not in MEDIA_TYPES:
                _set(self._graph, each, each.default)

    def check(self, parameters: object) -> None:
        """Refuse parameters, in the form that a caller sends them, which `parameters_schema` does not allow.

        Raises:
            InvalidParameters: with every problem there is.
        """
        problems = self._problems(parameters, media_are_names=False)
        if problems:
            raise InvalidParameters(tuple(problems))

    def bind(self, parameters: Mapping[str, Any], *, draw_seed: DrawSeed | None = None) -> Bound:
        """A copy of the graph with `parameters` in it.

        Args:
            parameters: by name. Media are names of files that are already in ComfyUI's input folder.
            draw_seed: for omitted seeds; by default the system's source of randomness.

        Omitted parameters take the contract's default, which is the graph's own value unless a mark gave another;
        without one the graph stays as it is there.

        Raises:
            InvalidParameters: with every problem there is.
        """
        problems = self._problems(parameters, media_are_names=True)
        if problems:
            raise InvalidParameters(tuple(problems))
        values = self.complete(parameters, draw_seed=draw_seed)
        return Bound(self.fill(values), values)

    def complete(self, parameters: Mapping[str, Any], *, draw_seed: DrawSeed | None = None) -> dict[str, Any]:
        """Parameters that were checked, in the types ComfyUI wants, with seeds drawn and defaults filled in."""
        draw = draw_seed or _draw
        values = dict(self._template)
        for name, lowest, highest in self._seeds:
            if name not in parameters:
                values[name] = draw(lowest, highest)
        for name, value in parameters.items():
            values[name] = _exact(self._inputs[name], value)
        if len(values) > len(self._template):  # some have no default: into the contract's order
            values = {name: values[name] for name in self._inputs if name in values}
        return values

    def fill(self, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """A copy of the graph with the `values` in it that `complete` gave."""
        filled = _copied(self._graph)
        for name, value in values.items():
            if value is None or value is not self._defaults[name]:  # defaults stand there
                _set(filled, self._inputs[name], value)
        return filled

    def _problems(self, parameters: object, *, media_are_names: bool) -> list[Problem]:
        if not isinstance(parameters, Mapping):
            return [Problem("", f"the parameters are {_kind(parameters)}", "an object is needed")]
        unknown = [
            Problem(str(name), "there is no such parameter", f"there are {', '.join(self._inputs) or 'none'}")
            for name in parameters
            if name not in self._inputs
        ]
        problems = [
            Problem(each.name, "it is missing", allowed_words(each))
            for each in self._required
            if each.name not in parameters
        ]
        for name, value in parameters.items():
            if (each := self._inputs.get(name)) is None:
                continue
            if media_are_names and each.type in MEDIA_TYPES:
                wrong = _wrong_file_name(value)
            else:
                wrong = self._wrong(each, value)
            if wrong:
                problems.append(Problem(name, wrong, allowed_words(each)))
        return unknown + sorted(problems, key=lambda problem: self._places[problem.parameter])

    def _wrong(self, each: Input, value: Any) -> str:
        """Why the schema of `each` does not allow `value`, or an empty string."""
        if not _finite(value):
            return "it holds a number that is not finite"
        error = next(iter(self._validators[each.name].iter_errors(value)), None)
        if error is None:
            return ""
        if error.validator == "type":
            return f"it is {_kind(value)}"
        if error.validator == "enum":
            return f"{_short(error.instance)} is none of its choices"
        if error.validator == "maxLength":
            return f"it has {len(value)} characters"
        if error.validator in ("allOf", "not"):
            return "ComfyUI would take it for a link to another node"
        if each.type in MEDIA_TYPES:
            return "it has none of the three forms of a file"
        return f"it is {_short(value)}"


def bind(
    contract: Contract, graph: Graph, parameters: Mapping[str, Any], *, draw_seed: DrawSeed | None = None
) -> Bound:
    """`Binder.bind` for a single use; whoever binds often keeps a `Binder`."""
    return Binder(contract, graph).bind(parameters, draw_seed=draw_seed)


def media_inputs(contract: Contract) -> tuple[Input, ...]:
    """The inputs whose values are files, to be stored before binding."""
    return tuple(each for each in contract.inputs if each.type in MEDIA_TYPES)


def allowed_words(each: Input) -> str:
    """What an input allows, in words."""
    if each.type in MEDIA_TYPES:
        return f'{each.type} as {{"data": base64}}, {{"file": upload id}} or {{"url": …}}'
    if each.choices is not None:
        shown = ", ".join(repr(choice) for choice in each.choices[:8])
        more = f" and {len(each.choices) - 8} more" if len(each.choices) > 8 else ""
        return f"{'any of' if each.multiple else 'one of'} {shown}{more}"
    words = {
        "integer": "a whole number",
        "seed": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text",
        "color": "a colour as #rrggbb",
    }.get(each.type, "a JSON value")
    if each.minimum is not None and each.maximum is not None:
        words += f" from {each.minimum} to {each.maximum}"
    elif each.minimum is not None:
        words += f" from {each.minimum}"
    elif each.maximum is not None:
        words += f" up to {each.maximum}"
    multiple = input_schema(each).get("multipleOf")
    if multiple:
        words += f", a multiple of {multiple}"
    return words + (f" of at most {each.max_length} characters" if each.max_length is not None else "")


def _copied(graph: Graph) -> dict[str, dict[str, Any]]:
    """Deep enough: a value is replaced, never changed."""
    return {node: {**entry, "inputs": dict(entry["inputs"])} for node, entry in graph.items()}


def _check_targets(graph: Graph, each: Input) -> None:
    for target in each.targets:
        if target.node not in graph or target.input not in graph[target.node]["inputs"]:
            raise CapsuleError(
                "contract-without-target",
                f"The contract's input {each.name!r} sets {target.input!r} of "
                f"{node_words(graph, target.node)}, which the graph does not have.",
            )


def _set(graph: dict[str, dict[str, Any]], each: Input, value: Any) -> None:
    for target in each.targets:
        inputs = graph[target.node]["inputs"]
        if target.values is not None:
            inputs[target.input] = _along(each, target, value)
            continue
        old = inputs[target.input]
        if each.as_text:
            inputs[target.input] = write_text(value, old)
            continue
        # lists are links to ComfyUI: as values they are wrapped, as the front-end wraps them
        if isinstance(old, dict) and "__value__" in old:
            inputs[target.input] = {**old, "__value__": copy.deepcopy(value)}
        elif isinstance(value, list):
            inputs[target.input] = {"__value__": copy.deepcopy(value)}
        else:
            inputs[target.input] = copy.deepcopy(value) if isinstance(value, dict) else value


def _along(each: Input, target: Target, choice: Any) -> int:
    """What a choice sets where it is not the choice itself."""
    if not isinstance(choice, str) or target.values is None or choice not in target.values:
        raise CapsuleError(
            "contract-without-target",
            f"The contract does not say what {choice!r} of its input {each.name!r} sets at {target.input!r} of "
            f"node {target.node}.",
        )
    return target.values[choice]


def _exact(each: Input, value: Any) -> Any:
    """20.0 is the same JSON number as 20; the graph gets the whole one."""
    return int(value) if each.type in ("integer", "seed") and isinstance(value, float) else value


def _seed_bounds(each: Input) -> tuple[int, int]:
    """Where to draw: not below 0 (-1 often means "random" to a node), not above what JavaScript keeps exactly."""
    low = int(each.minimum) if each.minimum is not None else 0
    high = int(each.maximum) if each.maximum is not None else SAFE_INTEGER
    return (max(low, 0) if high >= 0 else low), (min(high, SAFE_INTEGER) if low <= SAFE_INTEGER else high)


def _draw(low: int, high: int) -> int:
    return low + secrets.randbelow(high - low + 1)


def _wrong_file_name(value: object) -> str:
    """Why `value` is no name of a file inside the input folder, or an empty string."""
    if not isinstance(value, str) or not value:
        return f"it is {_kind(value)} where the name of a stored file is needed"
    parts = value.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in value:
        return "the name of the stored file leads out of the input folder"
    if value.endswith(("[output]", "[temp]")):
        return "the name of the stored file names another folder"
    return ""


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_finite(each) for each in value.values())
    return all(_finite(each) for each in value) if isinstance(value, list) else True


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "a text"),
        (list, "an array"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "an object")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
