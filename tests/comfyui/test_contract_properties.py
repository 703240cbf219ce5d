"""What a contract lets through, ComfyUI takes; what its schema does not allow, it lets nobody send.

Held over every widget of every node class of a real ComfyUI, with values drawn by a seed that is printed: those the
schema allows are checked by ComfyUI's own validation (``execution.validate_inputs``), asked through a pack of ours.
"""

from __future__ import annotations

import json
import math
import random
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from bench import fresh_install, running
from bench.seed import SEED
from comfy_capsule.packager.contract import (
    Binder,
    Contract,
    Input,
    InvalidParameters,
    build_contract,
    parameters_schema,
)
from comfy_capsule.packager.contract.schema import input_schema
from comfy_capsule.packager.workflow import unique_name
from comfy_capsule.packager.workflow.definitions import DYNAMIC_COMBO, UPLOADS

Json = dict[str, Any]

#: Texts that a node checks by rules of its own, which its definition does not tell: ComfyUI's answer tells them.
OWN_RULES = {("FluxProUltraImageNode", "aspect_ratio"), ("BenchColour", "colour")}

PACK = """
import execution
from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS = {}

@PromptServer.instance.routes.post("/bench/validate")
async def validate(request):
    found = []
    for graph in await request.json():
        try:
            _, errors, _ = await execution.validate_inputs("bench", graph, "1", {})
        except Exception as error:
            errors = [{"type": "exception", "details": repr(error)}]
        found.append([[e["type"], e["details"], (e.get("extra_info") or {}).get("input_name")] for e in errors])
    return web.json_response(found)
"""


class Case(NamedTuple):
    """A node class with values for its widgets; its contract marks every one, and its binder knows the graph."""

    class_type: str
    contract: Contract
    binder: Binder
    graph: Json


class Comfy(NamedTuple):
    """The running ComfyUI: its definitions, and what its validation says of graphs of one node each."""

    base_url: str
    object_info: Json

    def validate(self, graphs: list[Json]) -> list[list[list[str]]]:
        request = urllib.request.Request(
            f"{self.base_url}/bench/validate", json.dumps(graphs).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            found: list[list[list[str]]] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    folder = fresh_install(tmp_path_factory.mktemp("properties") / "ComfyUI")
    pack = folder / "custom_nodes" / "bench-validate"
    pack.mkdir()
    (pack / "__init__.py").write_text(PACK)
    for kind, name in (
        ("checkpoints", "one"),
        ("loras", "one"),
        ("loras", "two"),
        ("vae", "one"),
        ("upscale_models", "two"),
    ):
        model = folder / "models" / kind / f"{name}.safetensors"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.touch()
    with running(folder) as comfy, urllib.request.urlopen(f"{comfy.base_url}/object_info", timeout=60) as answer:
        yield Comfy(comfy.base_url, json.load(answer))


@pytest.fixture(scope="module")
def cases(asked: Comfy) -> list[Case]:
    return [case for class_type in asked.object_info for case in cases_of(class_type, asked.object_info)]


def cases_of(class_type: str, info: Json) -> Iterator[Case]:
    """One case for each option of its dynamic choices, else one; none where it has no widgets."""
    for turn in range(12):
        chosen = [0]
        inputs = dict(widgets(info[class_type]["input"], "", turn, chosen))
        if turn and turn > chosen[0]:
            return
        if inputs:
            names: set[str] = set()
            marks = {name: {"name": unique_name(name, names)} for name in inputs}
            node = {"id": 1, "type": class_type, "properties": {"capsule": {"v": 1, "inputs": marks}}}
            api = {"1": {"class_type": class_type, "inputs": inputs}}
            contract = build_contract("demo", {"nodes": [node], "links": []}, api, info)
            yield Case(class_type, contract, Binder(contract, api), api)


def widgets(groups: Json, prefix: str, turn: int, chosen: list[int]) -> Iterator[tuple[str, Any]]:
    """(name, a value that ComfyUI takes) for each widget; of a dynamic choice the option number `turn`, or its last."""
    for group in ("required", "optional"):
        for name, raw in (groups.get(group) or {}).items():
            kind, settings = raw[0], raw[1] if len(raw) > 1 and isinstance(raw[1], dict) else {}
            if settings.get("forceInput") or any(settings.get(flag) for flag in UPLOADS):
                continue
            if kind == DYNAMIC_COMBO:
                options = settings.get("options") or []
                if options:
                    chosen[0] = max(chosen[0], len(options) - 1)
                    option = options[min(turn, len(options) - 1)]
                    yield prefix + name, option["key"]
                    yield from widgets(option.get("inputs") or {}, f"{prefix}{name}.", 0, [0])
            elif (value := first_value(kind, settings)) is not None:
                yield prefix + name, value


def first_value(kind: Any, settings: Json) -> Any:
    options = kind if isinstance(kind, list) else settings.get("options") if kind == "COMBO" else None
    default = settings.get("default")
    if options is not None:
        plain = [option for option in options if isinstance(option, (str, int, float, bool))]
        if settings.get("multiselect") or not plain:
            return None
        return default if default in plain else plain[0]
    if kind == "INT":
        return default if isinstance(default, int) else max(0, math.ceil(settings.get("min", 0)))
    if kind == "FLOAT":
        return float(default) if isinstance(default, (int, float)) else max(0.0, settings.get("min", 0.0))
    if kind == "BOOLEAN":
        return bool(default)
    return (default if isinstance(default, str) else "text") if kind == "STRING" else None


def allowed(each: Input, draw: random.Random) -> list[Any]:
    """Values that the schema should allow, at the edges and between them."""
    if each.choices is not None:
        return draw.sample(list(each.choices), min(6, len(each.choices)))
    if each.type in ("integer", "seed"):
        low = int(each.minimum) if each.minimum is not None else -(10**6)
        high = int(each.maximum) if each.maximum is not None else 10**6
        step = int(input_schema(each).get("multipleOf", 1))
        between = [draw.randint(low, high) // step * step for _ in range(4)]
        return [low, high, *(value for value in between if value >= low), *([float(low)] if float(low) == low else [])]
    if each.type == "number":
        low = each.minimum if each.minimum is not None else -1e9
        high = each.maximum if each.maximum is not None else 1e9
        whole = [math.ceil(low)] if math.ceil(low) <= high else []
        return [low, high, *(draw.uniform(low, high) for _ in range(4)), *whole]
    if each.type == "boolean":
        return [True, False]
    return ["", "ä\n\u2028🙂", "[1, 2]", "x" * 2000] if each.type == "string" else [each.default]


def strange(each: Input, draw: random.Random) -> list[Any]:
    """Values of other kinds, out of bounds, and near what is allowed."""
    values: list[Any] = [None, [], {}, "", "7", True, 0, -1, 0.5, 1e300, 2**70, math.nan, math.inf]
    values += [["1", 0], {"__value__": 1}]
    for end, way in ((each.minimum, -1), (each.maximum, 1)):
        if end is not None:
            values += [end + way, end + way * 1e-6]
    if each.choices:
        choice = draw.choice(each.choices)
        values += [f"{choice} ", str(choice).upper(), [choice]]
    return values


def test_every_class_gives_a_contract(cases: list[Case], asked: Comfy) -> None:
    inputs = sum(len(case.contract.inputs) for case in cases)
    print(f"\n{len({case.class_type for case in cases})} classes, {len(cases)} graphs, {inputs} inputs; seed {SEED}")
    assert len({case.class_type for case in cases}) > 500
    assert inputs > 2500
    for case in cases:
        Draft202012Validator.check_schema(parameters_schema(case.contract))
        assert json.dumps(case.binder.bind(seeds(case)).graph) == json.dumps(case.graph), case.class_type


def seeds(case: Case) -> Json:
    return {each.name: each.default for each in case.contract.inputs if each.type == "seed"}


def test_what_the_contract_allows_comfyui_takes(cases: list[Case], asked: Comfy) -> None:
    draw = random.Random(SEED)
    sent, graphs = [], []
    for number, case in enumerate(cases):
        for each in case.contract.inputs:
            if (case.class_type, each.name) in OWN_RULES:
                continue
            for value in allowed(each, draw):
                case.binder.check({each.name: value})
                sent.append((number, each.targets[0].input, value))
                graphs.append(case.binder.bind({**seeds(case), each.name: value}).graph)
    before = asked.validate([case.graph for case in cases])  # without links and files no graph of one node is whole
    found = asked.validate(graphs)
    refusals = [
        (cases[number].class_type, name, value, error)
        for (number, name, value), errors in zip(sent, found, strict=True)
        for error in errors
        if error not in before[number] and (error[0] == "exception" or name in (error[2], error[1].split(" ")[0]))
    ]
    print(f"\n{len(graphs)} values; seed {SEED}")
    assert refusals == []


def test_the_schema_and_the_binder_agree_on_every_value(cases: list[Case]) -> None:
    draw = random.Random(SEED)
    wrong, checked = [], 0
    for case in cases:
        validator = Draft202012Validator(parameters_schema(case.contract))
        for each in case.contract.inputs:
            for value in [*strange(each, draw), *allowed(each, draw)]:
                finite = not isinstance(value, float) or math.isfinite(value)
                by_schema = finite and validator.is_valid({each.name: value})
                try:
                    case.binder.check({each.name: value})
                    by_binder = True
                except InvalidParameters:
                    by_binder = False
                checked += 1
                if by_schema != by_binder:
                    wrong.append((case.class_type, each.name, value, by_schema, by_binder))
    print(f"\n{checked} values; seed {SEED}")
    assert wrong == []


def test_what_comfyui_refuses_the_contract_refuses(cases: list[Case], asked: Comfy) -> None:
    """Out of bounds, and no choice: were they let through, ComfyUI would say so and not the contract."""
    for case in cases:
        for each in case.contract.inputs:
            beyond: list[Any] = [each.minimum - abs(each.minimum) - 1] if each.minimum is not None else []
            beyond += [each.maximum * 2 + 1] if each.maximum is not None and each.maximum >= 0 else []
            beyond += ["no such choice"] if each.choices is not None else []
            for value in beyond:
                with pytest.raises(InvalidParameters):
                    case.binder.check({each.name: value})
