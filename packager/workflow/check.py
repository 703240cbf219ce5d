"""Whether an API graph is whole: every node has a class, every link an origin, every class a definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadInput

Graph = Mapping[str, Mapping[str, Any]]


def is_link(value: object) -> bool:
    """Whether ComfyUI reads `value` as a link (``comfy_execution/graph_utils.py``): ``[node id, slot]``."""
    return (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (int, float))
    )


def node_words(api: Graph, node: str) -> str:
    """How a sentence names a node: its id, title and class."""
    entry = api.get(node, {})
    class_type = entry.get("class_type", "")
    title = (entry.get("_meta") or {}).get("title", "")
    shown = ", ".join(part for part in (repr(title) if title != class_type and title else "", class_type) if part)
    return f"node {node} ({shown or 'unknown'})"


def check_api_graph(api: Graph) -> None:
    """Refuse a graph that ComfyUI could not even begin to validate.

    Raises:
        BadInput: ``not-an-api-graph``, ``node-without-class``, ``node-without-inputs``, ``link-without-node``.
    """
    if not api:
        raise BadInput("not-an-api-graph", "The API graph has no nodes.", "Export it again from ComfyUI.")
    for node, entry in api.items():
        if not isinstance(entry, Mapping):
            raise BadInput("not-an-api-graph", f"The entry {node!r} of the API graph is no node.")
        if not isinstance(entry.get("class_type"), str) or not entry["class_type"]:
            # the front-end emits nodes of a missing class like this: without class_type, inputs under UNKNOWN
            raise BadInput(
                "node-without-class",
                f"The API graph's {node_words(api, node)} has no class: its pack was missing when it was exported.",
                "Install the pack, or remove the node, and export again.",
            )
        if not isinstance(entry.get("inputs"), Mapping):
            raise BadInput("node-without-inputs", f"The API graph's {node_words(api, node)} has no inputs.")
    for node, entry in api.items():
        for name, value in entry["inputs"].items():
            if is_link(value) and value[0] not in api:
                raise BadInput(
                    "link-without-node",
                    f"The input {name!r} of {node_words(api, node)} is linked to node {value[0]}, "
                    "which the API graph does not have.",
                    "Export the API graph again from ComfyUI.",
                )


def missing_classes(api: Graph, object_info: Mapping[str, Any]) -> None:
    """Refuse a graph that uses node classes which the ComfyUI of `object_info` does not have.

    Raises:
        BadInput: ``class-missing``, naming every such node.
    """
    missing = [node for node, entry in api.items() if entry["class_type"] not in object_info]
    if missing:
        words = ", ".join(node_words(api, node) for node in missing[:20])
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        raise BadInput(
            "class-missing",
            f"This ComfyUI does not have the class of {words}{more}.",
            "Install the packs that give them, or look into ComfyUI's log for why they failed to load.",
        )
