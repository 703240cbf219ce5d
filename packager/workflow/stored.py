"""Where a node of an editor graph keeps the value of one of its widgets.

``widgets_values`` is a list in the order of the node's widgets, or an object by name. In the list also stand values
that no input of the node names: what becomes of a seed after a run, a filter of a choice, a button. Front-ends from
1.50 on write ``widgets_values_named`` beside the list. Read in, and tried on the templates as saved by, front-ends
1.45.20, 1.47.12 and 1.53.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: The value of a widget that nothing tells.
UNKNOWN: Any = object()
#: A node with more widgets, or more values that none of them names, is nobody's: to find a place costs their product.
_MOST_WIDGETS, _MOST_OTHERS = 2000, 100


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

    Certain is what every way of laying the widgets along the list says: each in its turn, at a value that it holds, and
    any value between them may be another's. Where no way leads to the last widget (one whose value is made anew for
    each run, as the address of a player's file, stands there as another), those up to `name` are enough.
    """
    names = [each for each, _ in widgets]
    if names.count(name) != 1 or len(names) > _MOST_WIDGETS:
        return None
    index = names.index(name)
    found = _ways(values, widgets, index) or _ways(values, widgets[: index + 1], index)
    return next(iter(found)) if len(found) == 1 else None


def _ways(values: Sequence[Any], widgets: Sequence[tuple[str, Any]], index: int) -> set[int]:
    """Where the widget of number `index` may stand in the ways of laying all `widgets` along `values`."""
    others = len(values) - len(widgets)
    if not 0 <= others <= _MOST_OTHERS:
        return set()
    fits = [  # of each widget: the places that hold its value
        {at for at in range(number, number + others + 1) if known is UNKNOWN or same_json(values[at], known)}
        for number, (_, known) in enumerate(widgets)
    ]
    first, last = -1, len(values)
    for number in range(index):  # each as early as it can
        first = min((at for at in fits[number] if at > first), default=len(values))
    for number in range(len(widgets) - 1, index, -1):  # and the later ones as late as they can
        last = max((at for at in fits[number] if at < last), default=-1)
    return {at for at in fits[index] if first < at < last}


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
