"""Marks on everything: each widget of an editor graph that its API graph lets a caller set."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Set
from typing import Any

from comfy_capsule.packager.workflow import is_link, unique_name
from comfy_capsule.packager.workflow.walk import Node, instances, root_graph, widget_targets

Json = dict[str, Any]
Targets = Set[tuple[str, str]]


def settable(api: Mapping[str, Any]) -> Targets:
    """The (node, input) pairs of an API graph that no link feeds."""
    return {
        (node, name) for node, entry in api.items() for name, value in entry["inputs"].items() if not is_link(value)
    }


def mark_everything(ui: Json, api: Mapping[str, Any], without: Targets = frozenset()) -> Json:
    """A copy of `ui` in which every widget is marked that sets something in `api`, and nothing of `without`.

    As a user would: a promoted widget on the host, which stands before what it holds; what it sets is not marked
    again inside. A widget inside a definition that is used several times is one mark.
    """
    marked = copy.deepcopy(ui)
    free = {target for target in settable(api) if not _goes_along(target, api)}
    taken, names = set[tuple[str, str]](), set[str]()
    groups: dict[int, list[Node]] = {}
    for node in instances(root_graph(marked)):
        groups.setdefault(id(node.raw), []).append(node)
    for nodes in groups.values():
        inputs = {}
        for widget in dict.fromkeys(_widgets(nodes[0], api)):
            sets = {target for node in nodes for target in widget_targets(node, widget)} & free
            if sets and not sets & (taken | without):
                taken |= sets
                inputs[widget] = {"name": unique_name(widget, names)}
        if inputs:
            properties = nodes[0].raw.setdefault("properties", {})  # type: ignore[attr-defined]
            properties["capsule"] = {"v": 1, "inputs": inputs}
    return marked


def _goes_along(target: tuple[str, str], api: Mapping[str, Any]) -> bool:
    """A Custom Combo's index is set with its choice."""
    return target[1] == "index" and api[target[0]]["class_type"] == "CustomCombo"


def _widgets(node: Node, api: Mapping[str, Any]) -> Iterator[str]:
    if node.type == "PrimitiveNode":
        yield "value"
    elif node.definition is not None:
        yield from node.promoted
    elif node.api_id in api:
        yield from api[node.api_id]["inputs"]
