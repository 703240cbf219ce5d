"""Every widget of every real workflow, marked: the contract's schema is valid, its defaults are, and bound they give
back the very graph.

The templates that ComfyUI ships, with the API graphs that its front-end makes of them. Of each whose nodes this ComfyUI
has: every widget that sets something is marked, in the editor graph, as a user would; the contract is built; its
JSON Schema is checked against the dialect, the graph's own values against the schema; binding them (seeds given) must
give an equal API graph, as JSON. Every value that no link feeds must be an input's target.

The choices of models are those that a capsule of the workflow has: the ones it names. A choice that its node does not
offer is a graph that ComfyUI refuses; the widget that sets it is left alone, and said.

Arguments: the front-ends that export the workflows, the worst counts; without any the ComfyUI's own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from shares import share_without, tell_worst  # noqa: E402

from bench.marking import mark_everything, settable  # noqa: E402
from bench.templates import Templates, templates  # noqa: E402
from comfy_capsule.packager.contract import (  # noqa: E402
    Contract,
    bind,
    build_contract,
    choice_key,
    media_inputs,
    parameters_schema,
)
from comfy_capsule.packager.errors import CapsuleError  # noqa: E402
from comfy_capsule.packager.snapshot.models.folders import looks_like_model  # noqa: E402
from comfy_capsule.packager.workflow import definition_of  # noqa: E402

Json = dict[str, Any]
Target = tuple[str, str]  # node, input


def fault_of(ui: Json, api: Json, info: Json) -> str:
    """What is wrong with the round trip of one workflow; empty when nothing is."""
    models = models_in(api)
    impossible = refused(api, info) - models.keys()
    choices = {choice_key(*target): [name] for target, name in models.items()}
    try:
        contract = build_contract("demo", mark_everything(ui, api, impossible), api, info, choices)
    except CapsuleError as error:
        return str(error)
    reached = {(target.node, target.input) for each in contract.inputs for target in each.targets}
    if impossible:
        print(f"ComfyUI refuses {sorted(impossible)}", file=sys.stderr)
    elif missed := settable(api) - reached:
        return f"{len(missed)} values are no input's, {sorted(missed)[:3]}"
    return _fault_of_contract(contract, api)


def models_in(api: Json) -> dict[Target, str]:
    """The values that name a model."""
    values = {(node, name): api[node]["inputs"][name] for node, name in settable(api)}
    return {target: value for target, value in values.items() if isinstance(value, str) and looks_like_model(value)}


def refused(api: Json, info: Json) -> set[Target]:
    """The choices that their nodes do not offer."""
    found = set()
    for node, name in settable(api):
        class_type, inputs = api[node]["class_type"], api[node]["inputs"]
        definition = definition_of(class_type, name, inputs, info)
        offered = definition is not None and not definition.upload and not definition.multiselect and definition.options
        if offered and inputs[name] not in offered:
            found.add((node, name))
    return found


def _fault_of_contract(contract: Contract, api: Json) -> str:
    schema = parameters_schema(contract)
    Draft202012Validator.check_schema(schema)
    media = {each.name for each in media_inputs(contract)}
    defaults = {each.name: each.default for each in contract.inputs if each.default is not None}
    sent = {name: value for name, value in defaults.items() if name not in media}
    if error := next(Draft202012Validator(schema).iter_errors(sent), None):
        return f"a default is not allowed, {error.json_path}: {error.message[:200]}"
    bound = bind(contract, api, sent).graph  # of media a caller cannot send the capsule's own
    if json.dumps(bound, sort_keys=True) != json.dumps(api, sort_keys=True):
        return f"another graph: {_first_difference(bound, api)}"
    return ""


def _first_difference(bound: Json, api: Json) -> str:
    return next(
        f"{node}.{name}: {api[node]['inputs'].get(name)!r:.80} became {value!r:.80}"
        for node, entry in bound.items()
        for name, value in entry["inputs"].items()
        if json.dumps(value) != json.dumps(api[node]["inputs"].get(name))
    )


def share_of(given: Templates) -> float:
    """The share of the workflows whose round trip has no fault; the faults are told."""
    known = {
        name: graph
        for name, graph in given.graphs.items()
        if all(entry.get("class_type") in given.object_info for entry in graph.values())
    }
    faults = {name: fault_of(given.saved[name], graph, given.object_info) for name, graph in known.items()}
    return share_without(faults, f"{sum(len(settable(graph)) for graph in known.values())} values")


if __name__ == "__main__":
    tell_worst("templates-roundtrip", lambda version: share_of(templates(version)), sys.argv[1:])
