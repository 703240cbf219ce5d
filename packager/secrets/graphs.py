"""Secrets by the names that hold them: widgets of API and editor graphs, fields of objects, defaults of definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .names import is_secret_name, is_secret_value
from .vault import Vault

_CONTROL = frozenset({"fixed", "increment", "decrement", "randomize"})
_JSON_TEXT = re.compile(r"(\w{1,40}:)?\s*(?=[{\[])")
_DEEPEST = 100  # deeper JSON than this is nobody's graph


def collect_named(value: Any, vault: Vault, where: str, object_info: Mapping[str, Any] | None = None) -> None:
    """Remember every secret that stands in `value` under a name which promises one.

    Args:
        value: an API graph, an editor graph, node definitions, or any JSON; a text that is JSON is looked into.
        where: what `value` is, in words, for what is no node's.
        object_info: node definitions; a value that is one of a widget's choices is no secret.
    """
    _walk(value, vault, where, object_info or {}, 0)


def through_json(text: str, change: Callable[[Any], Any]) -> str:
    """`text` with `change` applied to the JSON in it, or to the text itself where it is none.

    WebP's texts begin with their name: ``prompt:{…}``. What `change` leaves as it is comes back letter by letter.
    """
    head = _JSON_TEXT.match(text)
    if head is not None:
        try:
            said = json.loads(text[head.end() :])
            changed = change(said)
            return text if changed == said else head[0] + json.dumps(changed)
        except (ValueError, RecursionError):
            pass
    return str(change(text))


def _walk(value: Any, vault: Vault, where: str, info: Mapping[str, Any], depth: int) -> None:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        here = _node_words(value) or where
        for name, each in value.items():
            if name == "inputs" and isinstance(each, Mapping) and isinstance(value.get("class_type"), str):
                _by_name(each, value, vault, info)
                inner: Any = list(each.values())
            elif name == "widgets_values" and isinstance(each, Mapping):
                _by_name(each, value, vault, info)
                inner = list(each.values())
            else:
                inner = each
                if name == "widgets_values" and isinstance(each, list):
                    _by_position(value, vault, info)
                elif isinstance(name, str) and is_secret_name(name):
                    _named(name, each, vault, here, 0)
            _walk(inner, vault, here, info, depth + 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _walk(each, vault, where, info, depth + 1)
    elif isinstance(value, str) and value[:1] in "{[" and value[1:]:
        _walk(_parsed(value), vault, where, info, depth + 50)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _node_words(value: Mapping[str, Any]) -> str:
    """How a sentence names the node `value`; empty when it is none."""
    kind = value.get("class_type") or (value.get("type") if "widgets_values" in value or "pos" in value else None)
    if not isinstance(kind, str) or not kind:
        return ""
    meta = value.get("_meta")
    title = value.get("title") or (meta.get("title") if isinstance(meta, Mapping) else None)
    return f"node {title!r} ({kind})" if isinstance(title, str) and title and title != kind else f"node {kind}"


def _by_name(widgets: Mapping[str, Any], node: Mapping[str, Any], vault: Vault, info: Mapping[str, Any]) -> None:
    for name, value in widgets.items():
        _widget(str(name), value, str(node.get("class_type") or node.get("type")), node, vault, info)


def _by_position(node: Mapping[str, Any], vault: Vault, info: Mapping[str, Any]) -> None:
    """Widgets stand by position; only a seed's control stands among them without a name."""
    kind = str(node.get("type", ""))
    values = iter(node["widgets_values"])
    held: list[Any] = []
    for name in _widget_names(node, kind, info):
        value = held.pop() if held else next(values, None)
        _widget(name, value, kind, node, vault, info)
        if "seed" in name:
            following = next(values, None)
            if not (isinstance(following, str) and following in _CONTROL):
                held.append(following)


def _widget_names(node: Mapping[str, Any], kind: str, info: Mapping[str, Any]) -> Iterator[str]:
    slots = [slot for slot in node.get("inputs") or () if isinstance(slot, Mapping)]
    named = [slot["widget"].get("name") for slot in slots if isinstance(slot.get("widget"), Mapping)]
    if named:
        yield from map(str, named)
        return
    definition = info.get(kind)
    groups = definition.get("input") if isinstance(definition, Mapping) else None
    for group in ("required", "optional"):
        members = groups.get(group) if isinstance(groups, Mapping) else None
        for name, raw in members.items() if isinstance(members, Mapping) else ():
            if isinstance(raw, (list, tuple)) and raw and _is_widget(raw[0]):
                yield str(name)


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, (list, tuple)) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR")


def _widget(name: str, value: Any, kind: str, node: Mapping[str, Any], vault: Vault, info: Mapping[str, Any]) -> None:
    if is_secret_name(name) and not _is_choice(kind, name, value, info):
        _named(name, value, vault, f"the widget {name!r} of {_node_words(node)}", 0)


def _is_choice(kind: str, name: str, value: Any, info: Mapping[str, Any]) -> bool:
    definition = info.get(kind)
    groups = definition.get("input") if isinstance(definition, Mapping) else None
    for members in groups.values() if isinstance(groups, Mapping) else ():
        raw = members.get(name) if isinstance(members, Mapping) else None
        if isinstance(raw, (list, tuple)) and raw:
            settings = raw[1] if len(raw) > 1 and isinstance(raw[1], Mapping) else {}
            options = raw[0] if isinstance(raw[0], (list, tuple)) else settings.get("options") or ()
            return isinstance(options, (list, tuple)) and value in options
    return False


def _named(name: str, value: Any, vault: Vault, where: str, depth: int) -> None:
    """`value` stands under `name`: bare, wrapped (``__value__``), in a list, or as a mark's or definition's default."""
    if isinstance(value, str):
        if is_secret_value(name, value):
            vault.add(name, value, where)
    elif isinstance(value, Mapping) and depth < 3:
        for key in ("__value__", "default", "value"):
            _named(name, value.get(key), vault, where, depth + 1)
    elif isinstance(value, (list, tuple)):
        if len(value) == 2 and isinstance(value[1], Mapping):  # a definition: ``["STRING", {"default": …}]``
            _named(name, value[1].get("default"), vault, where, depth + 1)
        elif len(value) != 2 or not isinstance(value[1], int):  # a link: ``["12", 0]``
            for each in value:
                if isinstance(each, str):
                    _named(name, each, vault, where, depth + 1)
