"""Small graphs for the unit tests: `twice` uses a subgraph definition two times, with another nested in it.

Root: Primitive 20 feeds the width of 21, and through reroute 22 that of 23. Hosts 10 and 11 are of one definition with
Sampler 3 and host 4, whose definition has Blur 7 and 8; both promote `steps` and `sigma`. Outputs are 30 and 31.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "unit" / "data"
Json = dict[str, Any]


def load(name: str) -> Json:
    """A fresh copy of one of the files in ``unit/data``."""
    data: Json = json.loads((DATA / name).read_text())
    return data


INFO: Json = load("object_info.json")


def twice() -> tuple[Json, Json]:
    """The editor graph and the API graph, without marks."""
    return load("twice.json"), load("twice.api.json")


def node_of(ui: Json, node: int, definition: str = "") -> Json:
    """A node of `ui`: of its root, or of the definition of that name."""
    graph = next((d for d in ui["definitions"]["subgraphs"] if d["name"] == definition), ui)
    found: Json = next(each for each in graph["nodes"] if each["id"] == node)
    return found


def mark(node: Json, widget: str, name: str, **settings: Any) -> None:
    """Mark a widget as an API input, as the editor does."""
    held = node["properties"].setdefault("capsule", {"v": 1})
    held.setdefault("inputs", {})[widget] = {"name": name, **settings}


def mark_output(node: Json, name: str, **settings: Any) -> None:
    """Mark a node as an API output, as the editor does."""
    node["properties"].setdefault("capsule", {"v": 1})["output"] = {"name": name, **settings}


def single(class_type: str, inputs: Json, marked: dict[str, Json]) -> tuple[Json, Json]:
    """A graph of one node (id 1) with these API inputs and these marks by widget, as (ui, api)."""
    node: Json = {"id": 1, "type": class_type, "properties": {}}
    for widget, settings in marked.items():
        mark(node, widget, **{"name": widget, **settings})
    api = {"1": {"class_type": class_type, "inputs": copy.deepcopy(inputs)}}
    return {"nodes": [node], "links": [], "version": 0.4}, api
