"""Where a node of an editor graph keeps the value of one of its widgets.

``widgets_values`` is a list in the order of the node's widgets, or an object by name. In the list stand values that no
input of the node names: a seed is followed by what becomes of it after a run, a choice by that and by a filter, and
other widgets may end it. Front-ends from 1.50 on write ``widgets_values_named`` beside the list. Read in and tried on
the templates as front-ends 1.45.20, 1.47.12 and 1.53.10 save them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: What a seed's control may say (``addValueControlWidgets`` of the front-end).
_CONTROL = frozenset({"fixed", "increment", "decrement", "randomize"})
#: The value of a widget that nothing tells.
UNKNOWN: Any = object()
#: A node with more widgets than this is nobody's; finding a place costs the square of them.
_MOST = 2000


def same_json(first: Any, second: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and true is not 1."""
    if first is second:
        return True
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_json(each, second[key]) for key, each in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same_json, first, second))
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


def position(values: Sequence[Any], widgets: Sequence[tuple[str, Any]], name: str) -> int | None:
    """Where in the list `values` the widget `name` stands, or None where that is not certain.

    Args:
        widgets: the name of each widget in its order, and what it is known to hold, or `UNKNOWN`.

    Certain is what every way of laying the widgets along the list says: each in its turn, at a value that it holds,
    with controls between them. Where no way leads to the last widget (one whose value is made anew for each run, as
    the address of a player's file, stands there as another), the widgets up to `name` are enough.
    """
    names = [each for each, _ in widgets]
    if names.count(name) != 1 or len(names) > _MOST:
        return None
    forwards = [{0}]
    for _, known in widgets:
        forwards.append({to for at in forwards[-1] for to in _next(values, at, known)})
    index = names.index(name)
    found = forwards[-1]
    for at in range(len(widgets) - 1, index - 1, -1):  # of the places that can be reached, those that lead to the end
        found = {place for place in forwards[at] if found & _next(values, place, widgets[at][1])}
    found = found or {place for place in forwards[index] if _next(values, place, widgets[index][1])}
    return next(iter(found)) if len(found) == 1 else None


def _next(values: Sequence[Any], at: int, known: Any) -> set[int]:
    """Where the next widget may stand, if one that holds `known` stands at `at`."""
    if at >= len(values) or not (known is UNKNOWN or same_json(values[at], known)):
        return set()
    after = {at + 1}
    if at + 1 < len(values) and isinstance(values[at + 1], str) and values[at + 1] in _CONTROL:
        if isinstance(values[at], (int, float, str)) and not isinstance(values[at], bool):
            after.add(at + 2)
        if isinstance(values[at], str) and at + 2 < len(values) and isinstance(values[at + 2], str):
            after.add(at + 3)
    return after


def keys_of(raw: Mapping[str, Any], widgets: Sequence[tuple[str, Any]], name: str) -> tuple[Key, ...] | None:
    """Each place in the saved node `raw` that holds the widget `name`; None where that is not certain.

    Args:
        widgets: as for `position`.
    """
    values, named = raw.get("widgets_values"), raw.get("widgets_values_named")
    known = next((value for each, value in widgets if each == name), UNKNOWN)
    keys: list[Key] = []
    if isinstance(values, Mapping):
        keys.append(("widgets_values", name))
    elif isinstance(values, list):
        at = position(values, widgets, name)
        if at is None and isinstance(named, Mapping):
            at = position(values, list(named.items()), name)
        if at is None:
            return None
        keys.append(("widgets_values", at))
    if isinstance(named, Mapping):
        keys.append(("widgets_values_named", name))
    certain = bool(keys) and all(_holds(raw[field], key, known) for field, key in keys)
    return tuple(keys) if certain else None


#: A field of a saved node, and the name or number of a value in it.
Key = tuple[str, str | int]


def _holds(values: Any, key: str | int, known: Any) -> bool:
    """Whether the value that `key` names is there and is the `known` one."""
    if isinstance(key, str) and key not in values:
        return False
    return known is UNKNOWN or same_json(values[key], known)


def with_values(raw: Mapping[str, Any], values: Iterable[tuple[Key, Any]]) -> dict[str, Any]:
    """A copy of the saved node `raw` with each of `values` at its key; `raw` stays as it was."""
    changed = dict(raw)
    for (field, key), value in values:
        held = changed[field]
        if held is raw[field]:
            held = changed[field] = dict(held) if isinstance(held, Mapping) else list(held)
        held[key] = value
    return changed
