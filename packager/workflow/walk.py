"""Walking an editor graph: every instance of every node, through subgraphs, with the id it has in the API graph.

Source of the rules: the front-end's graphToPrompt, read in and tried on versions 1.39 to 1.58. An API id is the path of
host ids and the node's own id joined by ``:``. A definition's inputs come from its node -10, its outputs go to -20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

INPUT_NODE, OUTPUT_NODE = "-10", "-20"
#: Deeper nesting than this is a definition that holds itself.
_DEEPEST = 64
PRIMITIVE, _REROUTE = "PrimitiveNode", "Reroute"


@dataclass(frozen=True)
class Link:
    """One line of the editor graph: from an output slot to an input slot."""

    id: str
    origin: str
    origin_slot: int
    target: str
    target_slot: int

    @classmethod
    def of(cls, raw: Any) -> Link | None:
        """From a row (``[id, origin, slot, target, slot, type]``) or, in subgraphs and version 1.0, an object."""
        if isinstance(raw, Mapping):
            keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            raw = [raw.get(key) for key in keys]
        if not isinstance(raw, list) or len(raw) < 5:
            return None
        try:
            return cls(str(raw[0]), str(raw[1]), int(raw[2]), str(raw[3]), int(raw[4]))
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Node:
    """One instance of a node: `raw` as saved, in `graph`, below the hosts `path`."""

    raw: Mapping[str, Any]
    graph: Graph
    path: tuple[Node, ...] = ()

    @property
    def id(self) -> str:
        return str(self.raw.get("id"))

    @property
    def api_id(self) -> str:
        return ":".join([*(host.id for host in self.path), self.id])

    @property
    def type(self) -> str:
        return str(self.raw.get("type", ""))

    @property
    def properties(self) -> Mapping[str, Any]:
        found = self.raw.get("properties")
        return found if isinstance(found, Mapping) else {}

    @property
    def title(self) -> str:
        return str(self.raw.get("title") or "")

    @property
    def mode(self) -> int:
        """0 always, 2 muted, 4 bypassed."""
        found = self.raw.get("mode")
        return found if isinstance(found, int) else 0

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        return [slot for slot in self.raw.get("inputs") or () if isinstance(slot, Mapping)]

    @property
    def promoted(self) -> list[str]:
        """Of a host: the names of its widgets, in both forms that promotion has had."""
        linked = [slot["widget"].get("name") for slot in self.inputs if isinstance(slot.get("widget"), Mapping)]
        inner = self.definition.input_names if self.definition is not None else []
        return list(dict.fromkeys(str(name) for name in [*linked, *(entry[1] for entry in self.proxies), *inner]))

    @property
    def proxies(self) -> list[list[Any]]:
        """Of a host: ``[inner node id, widget, …]`` of each widget that it promotes, up to front-end 1.46."""
        found = self.properties.get("proxyWidgets")
        return [entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, list) and entry[1:]]

    @property
    def definition(self) -> Graph | None:
        """The subgraph that this node hosts, or None for an ordinary node."""
        return self.graph.definitions.get(self.type)


@dataclass(frozen=True)
class Graph:
    """The root graph or one subgraph definition."""

    raw: Mapping[str, Any]
    definitions: dict[str, Graph] = field(repr=False)

    @cached_property
    def links(self) -> list[Link]:
        return [link for raw in self.raw.get("links") or () if (link := Link.of(raw)) is not None]

    @cached_property
    def nodes(self) -> dict[str, Mapping[str, Any]]:
        return {str(raw.get("id")): raw for raw in self.raw.get("nodes") or () if isinstance(raw, Mapping)}

    @property
    def input_names(self) -> list[str]:
        return [str(slot.get("name")) for slot in self.raw.get("inputs") or () if isinstance(slot, Mapping)]

    def outgoing(self, origin: str, slot: int) -> list[Link]:
        return [link for link in self.links if link.origin == origin and link.origin_slot == slot]


def root_graph(ui: Mapping[str, Any]) -> Graph:
    """The root of `ui` (schema 0.4 or 1.0), with its subgraph definitions by id."""
    definitions: dict[str, Graph] = {}
    root = Graph(ui, definitions)
    held = ui.get("definitions")
    for raw in (held.get("subgraphs") if isinstance(held, Mapping) else None) or ():
        if isinstance(raw, Mapping):
            definitions[str(raw.get("id"))] = Graph(raw, definitions)
    return root


def instances(graph: Graph, path: tuple[Node, ...] = ()) -> Iterator[Node]:
    """Every instance of every node: those of `graph` in saved order, each host followed by its own."""
    for raw in graph.nodes.values():
        node = Node(raw, graph, path)
        yield node
        if node.definition is not None and len(path) < _DEEPEST:
            yield from instances(node.definition, (*path, node))


def widget_targets(node: Node, widget: str, *, direct: bool = False) -> list[tuple[str, str]]:
    """The (API id, input) pairs that the widget called `widget` of `node` sets; nothing says yet that they exist.

    An ordinary node's widget sets itself; a PrimitiveNode's sets what it feeds; a host's promoted widget sets
    the inner widgets it stands for, through however many hosts.

    Args:
        direct: only those that the front-end gives the value to: a mark also reaches through the nodes of class Reroute
            and out of hosts, the front-end does not (``applyToGraph``, read in versions 1.45 to 1.58).
    """
    if node.type == PRIMITIVE:
        if widget.startswith("control_") or not node.raw.get("widgets_values"):
            return []  # the front-end gives it no widget where what it feeds has none
        return _unique(_fed_by(node.graph, node.path, node.id, 0, direct=direct))
    if node.definition is not None:
        return _unique(_promoted(node, widget, direct))
    return [(node.api_id, widget)]


def is_group_node(node_type: str) -> bool:
    """Whether a node is a group of nodes, as front-ends up to 1.46 had them; newer ones turn them into subgraphs."""
    return node_type.startswith(("workflow>", "workflow/"))


def host_widgets(host: Node) -> list[str]:
    """The names of a host's widgets in the order in which it keeps their values (front-end 1.47 and later)."""
    inner = host.definition
    if inner is None:
        return []
    slots = {str(slot.get("name")): slot for slot in host.inputs}
    names = []
    for number, name in enumerate(inner.input_names):
        widget = (slots.get(name, {}).get("widget") or {}).get("name")
        if widget is None and any(_ends_at_widget(inner, link) for link in inner.outgoing(INPUT_NODE, number)):
            widget = name
        if widget is not None:
            names.append(str(widget))
    return names


def _ends_at_widget(graph: Graph, link: Link) -> bool:
    slots = Node(graph.nodes.get(link.target, {}), graph).inputs
    found = [slot for slot in slots if str(slot.get("link")) == link.id]
    return any(isinstance(slot.get("widget"), Mapping) for slot in found)


def host_label(node: Node, widget: str) -> str:
    """The label that the editor shows for `widget`, or empty."""
    for slot in node.inputs:
        if widget in ((slot.get("widget") or {}).get("name"), slot.get("name")):
            return str(slot.get("label") or "")
    return ""


def _unique(pairs: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(pairs))


def _promoted(host: Node, widget: str, direct: bool) -> Iterator[tuple[str, str]]:
    """Front-end 1.47 and later: through the definition's input of that name. Before: ``proxyWidgets``."""
    inner = host.definition
    if inner is None or len(host.path) >= _DEEPEST:
        return
    names = inner.input_names
    for slot in host.inputs:  # a host's widget may have another name than its input
        if (slot.get("widget") or {}).get("name") == widget and slot.get("name") in names:
            widget = str(slot["name"])
            break
    if widget in names:
        found = list(_fed_by(inner, (*host.path, host), INPUT_NODE, names.index(widget), direct=direct))
        if found:
            yield from found
            return
    for entry in host.proxies:
        inner_id, name = str(entry[0]), str(entry[1])
        raw = inner.nodes.get(inner_id)
        if raw is not None and widget in (name, f"{inner_id}: {name}"):
            yield from widget_targets(Node(raw, inner, (*host.path, host)), name, direct=direct)
            return


def _fed_by(
    graph: Graph, path: tuple[Node, ...], origin: str, slot: int, depth: int = 0, *, direct: bool
) -> Iterator[tuple[str, str]]:
    """The widgets that output `slot` of node `origin` sets, through reroutes, into hosts and out of them."""
    if depth > _DEEPEST:
        return
    for link in graph.outgoing(origin, slot):
        if link.target == OUTPUT_NODE:
            if path and not direct:
                host = path[-1]
                yield from _fed_by(host.graph, path[:-1], host.id, link.target_slot, depth + 1, direct=False)
            continue
        raw = graph.nodes.get(link.target)
        if raw is None:
            continue
        node = Node(raw, graph, path)
        if node.type == _REROUTE:
            if not direct:
                yield from _fed_by(graph, path, node.id, 0, depth + 1, direct=False)
            continue
        name = _input_name(node, link)
        if node.definition is not None and name:
            yield from _promoted(node, name, direct)
        elif name:
            yield node.api_id, name


def _input_name(node: Node, link: Link) -> str:
    """The widget behind the input that `link` ends at; the slot's own record of the link is surer than its number."""
    slots = node.inputs
    by_link = [slot for slot in slots if str(slot.get("link")) == link.id]
    if not by_link and 0 <= link.target_slot < len(slots):
        by_link = [slots[link.target_slot]]
    if not by_link:
        return ""
    return str((by_link[0].get("widget") or {}).get("name") or by_link[0].get("name") or "")
