"""Values that were put into an API graph, put into the editor graph that it was made of: so that pictures open as made.

Which widget a value stands in is told by what the widgets set: a target's value comes from a PrimitiveNode, else from
the outermost host that promotes it and holds values (front-end 1.47 and later), else from the node itself. A place is
only believed if it holds the API graph's own value, and only written if all that it sets gets the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..workflow import definition_of, is_link, is_ui_graph
from ..workflow.check import Graph
from ..workflow.stored import UNKNOWN, Key, keys_of, same_json, with_values
from ..workflow.walk import PRIMITIVE, Node, host_widgets, instances, root_graph, widget_targets
from .bind import SAFE_INTEGER

#: Texts that the editor makes others of when it sends its graph: prompts with choices and comments
#: (``processDynamicPrompt``), and words between percent signs (``applyTextReplacements``). Front-ends 1.47 to 1.58.
_PROMPT, _WORDS = re.compile(r"\{|//|/\*|\\(?:[}|]|\Z)"), re.compile("%[^%]+%")
#: A file of definitions that hold each other can say any number of nodes; more than this are nobody's.
_MOST = 10_000
_Target = tuple[str, str]  # (API node id, input)
#: A saved node's place: the number of its definition (None: the root), and its own number in ``nodes``.
_Where = tuple[int | None, int]


@dataclass
class _Place:
    """One widget of one saved node, and all that it sets, in every instance of the node."""

    node: Node  # its first instance
    widget: str
    feeds: list[_Target] = field(default_factory=list)
    writes: list[tuple[_Where, Key]] = field(default_factory=list)  # each place of the file that holds its value
    made_over: list[re.Pattern[str]] = field(default_factory=list)  # texts that the editor does not send as they are


class EditorGraph:
    """An editor graph and the API graph made of it, ready to take many sets of values.

    Attributes:
        unplaced: the targets whose place in the editor graph is not certain; with any, it takes no values at all.
        whole: whether every node of the API graph is one of the editor graph; else they do not belong together.
    """

    def __init__(
        self,
        ui: Mapping[str, Any],
        api: Graph,
        targets: Iterable[tuple[str, str]],
        made: Collection[tuple[str, str]] = (),
        object_info: Mapping[str, Any] | None = None,
    ) -> None:
        """Neither graph is ever changed.

        Args:
            targets: every (API node id, input) at which another graph may hold another value.
            made: those of which the editor itself makes the value, out of another, if it does not keep it.
            object_info: definitions of the graph's classes, which tell where a prompt may hold choices.
        """
        self._ui, self._api, self._info = ui, api, object_info or {}
        self._nodes: list[Node] = []
        self._ids: dict[str, Node] = {}
        self._located: dict[int, _Where] = {}
        self._by_target: dict[_Target, _Place] = {}
        self._by_widget: dict[tuple[int, str], _Place] = {}
        found = dict.fromkeys(targets, False)
        try:
            self.whole = self._read()
            found = {target: self.whole and self._placed(target) for target in found}
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):  # not what any editor saves
            self.whole = False
        self._targets = tuple(target for target in found if found[target])
        self.unplaced = tuple(target for target in found if not found[target] and target not in made)

    def _read(self) -> bool:
        """Whether the two graphs belong together; then every value of the API graph has its place."""
        if not is_ui_graph(self._ui):
            return False
        self._nodes = list(islice(instances(root_graph(self._ui)), _MOST))
        self._ids = {node.api_id: node for node in self._nodes}
        for node, entry in self._api.items():
            if node not in self._ids or self._ids[node].type != entry.get("class_type"):
                return False
        self._located = dict(_locations(self._ui))
        self._find_places()
        return True

    def with_values(self, graph: Graph) -> Mapping[str, Any] | None:
        """The editor graph with what `graph` holds at the targets, or None where that is not certain.

        Args:
            graph: the API graph with other values at some of the targets. Only what differs is copied.
        """
        if self.unplaced or not self.whole:
            return None
        changed: dict[int, tuple[_Place, Any]] = {}
        for node, name in self._targets:
            value = graph[node]["inputs"][name]
            if not same_json(value, self._api[node]["inputs"][name]):
                place = self._by_target[node, name]
                changed[id(place)] = place, value
        writes: dict[_Where, list[tuple[Key, Any]]] = {}
        for place, value in changed.values():
            if _differs_in_an_editor(value, place.made_over):
                return None
            if not all(same_json(graph[node]["inputs"][name], value) for node, name in place.feeds):
                return None  # it would set more than was asked for
            for where, key in place.writes:
                writes.setdefault(where, []).append((key, _plain(value)))
        return self._written(writes)

    def _written(self, writes: Mapping[_Where, list[tuple[Key, Any]]]) -> Mapping[str, Any]:
        if not writes:
            return self._ui
        ui = dict(self._ui)
        definitions: list[Any] = []
        if any(where[0] is not None for where in writes):
            definitions = list(ui["definitions"]["subgraphs"])
            ui["definitions"] = {**ui["definitions"], "subgraphs": definitions}
        graphs: dict[int | None, dict[str, Any]] = {None: ui}
        for (definition, number), values in writes.items():
            if definition not in graphs:
                assert definition is not None
                graphs[definition] = definitions[definition] = dict(definitions[definition])
            graph = graphs[definition]
            before = (self._ui if definition is None else self._ui["definitions"]["subgraphs"][definition])["nodes"]
            if graph["nodes"] is before:
                graph["nodes"] = list(before)
            graph["nodes"][number] = with_values(graph["nodes"][number], values)
        return ui

    def _find_places(self) -> None:
        """The place of every value of the API graph, whichever widget it comes from."""
        for node in self._nodes:
            for widget in self._widgets_of(node):
                for target in widget_targets(node, widget, direct=True):
                    if self._value(target) is UNKNOWN:
                        continue
                    if target not in self._by_target or node.type == PRIMITIVE:  # hosts come before what they hold
                        place = self._by_widget.setdefault((id(node.raw), widget), _Place(node, widget))
                        self._by_target[target] = place
        for target, place in self._by_target.items():
            place.feeds.append(target)

    def _widgets_of(self, node: Node) -> list[str]:
        if node.type == PRIMITIVE:
            return ["value"]
        if node.definition is not None:
            return node.promoted if node.raw.get("widgets_values") else []  # before 1.47: the inner node's
        return list(self._entry(node))

    def _entry(self, node: Node) -> Mapping[str, Any]:
        """The inputs that the API graph has for `node`."""
        entry = self._api.get(node.api_id, {})
        return entry.get("inputs", {}) if entry.get("class_type") == node.type else {}

    def _value(self, target: _Target) -> Any:
        """The API graph's own value as the editor holds it; `UNKNOWN` for a link and for what is not there."""
        node, name = target
        value = self._api.get(node, {}).get("inputs", {}).get(name, UNKNOWN)
        return UNKNOWN if is_link(value) else _plain(value)

    def _placed(self, target: _Target) -> bool:
        """Whether the place of `target` is certain; finds out where in the file it is."""
        place = self._by_target.get(target)
        if place is None:
            return False
        if place.writes:
            return True
        own = self._value(place.feeds[0])
        where = self._located.get(id(place.node.raw))
        if where is None or not all(same_json(own, self._value(each)) for each in place.feeds):
            return False
        keys = keys_of(place.node.raw, list(self._known(place.node)), place.widget)
        place.writes = [(where, key) for key in keys or ()]
        place.made_over = list(self._made_over(place))
        if keys and place.node.type == PRIMITIVE:
            place.writes += self._beside(place)
        return bool(keys)

    def _known(self, node: Node) -> Iterator[tuple[str, Any]]:
        """The widgets of `node` in their order, and what each is known to hold."""
        if node.type == PRIMITIVE:
            names = ["value"]
        elif node.definition is not None:
            names = host_widgets(node)
        else:  # the API graph has them in the order of the widgets; what has no widget comes over a link
            links = {name for name, value in self._entry(node).items() if is_link(value)}
            fed = {str((slot.get("widget") or {}).get("name")) for slot in node.inputs}
            names = [name for name in self._entry(node) if name not in links or name in fed]
        for name in names:
            place = self._by_widget.get((id(node.raw), name))
            yield name, self._value(place.feeds[0]) if place and place.feeds else UNKNOWN

    def _made_over(self, place: _Place) -> Iterator[re.Pattern[str]]:
        if place.node.type == PRIMITIVE and place.node.properties.get("Run widget replace on values"):
            yield _WORDS
        for node, name in place.feeds:
            if name == "filename_prefix":
                yield _WORDS
            entry = self._api[node]
            definition = definition_of(str(entry["class_type"]), name, entry["inputs"], self._info)
            if definition is not None and definition.settings.get("dynamicPrompts"):
                yield _PROMPT

    def _beside(self, place: _Place) -> Iterator[tuple[_Where, Key]]:
        """A PrimitiveNode writes its value into the widgets that it feeds: there, where they hold it, it is kept."""
        for target in place.feeds:
            node = self._ids.get(target[0])
            if node is None or [each.id for each in node.path] != [each.id for each in place.node.path]:
                continue
            widgets = [(name, self._value(target) if name == target[1] else held) for name, held in self._known(node)]
            for key in keys_of(node.raw, widgets, target[1]) or ():
                yield self._located[id(node.raw)], key


def _differs_in_an_editor(value: Any, made_over: Iterable[re.Pattern[str]]) -> bool:
    if isinstance(value, str):
        return any(pattern.search(value) for pattern in made_over)
    return isinstance(value, int) and abs(value) > SAFE_INTEGER  # JavaScript rounds it


def _locations(ui: Mapping[str, Any]) -> Iterator[tuple[int, _Where]]:
    """Where each saved node lies in the file, by its identity."""
    held = ui.get("definitions")
    definitions = held.get("subgraphs") if isinstance(held, Mapping) else None
    graphs: list[tuple[int | None, Any]] = [(None, ui), *enumerate(definitions or ())]
    for number, graph in graphs:
        nodes = graph.get("nodes") if isinstance(graph, Mapping) else None
        yield from ((id(raw), (number, place)) for place, raw in enumerate(nodes or ()))


def _plain(value: Any) -> Any:
    """The front-end wraps lists (``{"__value__": […]}``), which would be links, and curves, in the API graph only."""
    wrapped = isinstance(value, dict) and (isinstance(value.get("__value__"), list) or "__type__" in value)
    return value["__value__"] if wrapped and "__value__" in value else value
