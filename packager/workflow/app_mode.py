"""ComfyUI's own selection of app inputs and outputs (App Mode), in every form that `extra.linearData` has had.

``{"inputs": [[id, widget] | [id, widget, {height?, description?}]], "outputs": [id]}``, where an id is

- a number or ``"12"``: a root node; up to front-end 1.46 a promoted widget is there by its inner node's id;
- ``"<graph id>:<node id>:<widget>"``: since 1.46; node id and widget percent-encoded since 1.47; a promoted
  widget by its host's id;
- ``"<graph id>:<node id>"``: transitional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from .walk import Graph, Node, instances, widget_targets


class Selected(NamedTuple):
    """One chosen widget, with the instances of its node (more than one only inside a definition used again)."""

    nodes: tuple[Node, ...]
    widget: str
    description: str


class Selection(NamedTuple):
    """The chosen widgets and nodes in their order, and a sentence for each entry that points at nothing."""

    inputs: tuple[Selected, ...]
    outputs: tuple[Node, ...]
    unresolved: tuple[str, ...]


def app_mode_selection(ui: Mapping[str, Any], root: Graph) -> Selection:
    """The App Mode selection of the editor graph `ui`, whose root is `root`. Entries that name nothing are told."""
    extra = ui.get("extra")
    data = extra.get("linearData") if isinstance(extra, Mapping) else None
    if not isinstance(data, Mapping):
        return Selection((), (), ())
    everything = list(instances(root))
    inputs: dict[tuple[str, str], Selected] = {}
    outputs: dict[str, Node] = {}
    unresolved = []
    for entry in data.get("inputs") or ():
        chosen = _input(entry, everything)
        if chosen is None:
            unresolved.append(f"The App Mode input {entry!r} leads to no widget of the graph.")
        else:
            inputs.setdefault((chosen.nodes[0].api_id, chosen.widget), chosen)
    for entry in data.get("outputs") or ():
        found = [node for node in everything if not node.path and node.id == _local_id(str(entry))]
        if found:
            outputs.setdefault(found[0].api_id, found[0])
        else:
            unresolved.append(f"The App Mode output {entry!r} names no node of the graph.")
    return Selection(tuple(inputs.values()), tuple(outputs.values()), tuple(unresolved))


def _local_id(text: str) -> str:
    """The node id in any of the forms."""
    parts = text.split(":")
    return unquote(parts[1]) if len(parts) > 1 else text


def _input(entry: object, everything: list[Node]) -> Selected | None:
    if not isinstance(entry, list) or len(entry) < 2:
        return None
    text, widget = str(entry[0]), str(entry[1])
    parts = text.split(":", 2)
    if len(parts) == 3:
        widget = unquote(parts[2])
    settings = entry[2] if len(entry) > 2 and isinstance(entry[2], Mapping) else {}
    description = str(settings.get("description") or "")
    nodes = tuple(_named(parts, _local_id(text), everything))
    if not nodes:
        nodes, widget = _promoting(_local_id(text), widget, everything)
    if not any(widget_targets(node, widget) for node in nodes):
        return None
    return Selected(nodes, widget, description)


def _named(parts: list[str], local: str, everything: list[Node]) -> Iterator[Node]:
    """The node that is meant: in the definition that is named, or at the root."""
    if len(parts) > 1:
        inside = [node for node in everything if node.path and node.id == local and node.path[-1].type == parts[0]]
        if inside:
            yield from inside
            return
    yield from (node for node in everything if not node.path and node.id == local)


def _promoting(local: str, widget: str, everything: list[Node]) -> tuple[tuple[Node, ...], str]:
    """The root host, and its widget, that promotes `widget` of the inner node `local`; no node where none does.

    The selection keeps the inner node's id from before front-end 1.47, also after it has turned ``proxyWidgets`` into
    links: so the host's widgets are followed to what they set, whichever way they are kept. Where several of them have
    one name, the inner node itself is meant.
    """
    inner = [node for node in everything if node.id == local and len(node.path) == 1]
    for node in inner:
        meant = set(widget_targets(node, widget))
        host = node.path[0]
        for name in host.promoted:
            if meant and meant <= set(widget_targets(host, name)):
                return (host,), name
    for node in inner:
        if [local, widget] in [[str(each) for each in proxy[:2]] for proxy in node.path[0].proxies]:
            return tuple(each for each in inner if each.raw is node.raw), widget
    return (), widget
