"""Every text in a graph that may name a file: choices, plain texts, and texts within a widget's own structure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .check import Graph, is_link
from .definitions import Definition, Definitions
from .uses import split_annotation

_OFF = ("on", "active", "enabled")  # of an entry in a list of LoRAs: one that says it is off is not loaded
_DEEPEST = 12
_LONGEST_JSON = 1 << 20  # characters


class Mention(NamedTuple):
    """One text of a graph, by where it stands.

    Attributes:
        kind: ``choice`` from a list that the server offers; ``text`` that a person typed, as a whole; ``item`` within
            a widget that holds a structure; ``quoted`` within a text that is JSON.
        key: the name it stands under: of the input, or of the innermost object's member.
        options: of a choice; empty for all else, and where the front-end fetches the list itself.
    """

    node: str
    class_type: str
    input: str
    key: str
    text: str
    kind: Literal["choice", "text", "item", "quoted"]
    options: tuple[Any, ...] = ()


def mentions(api: Graph, object_info: Mapping[str, Any]) -> Iterator[Mention]:
    """Every text in `api` that may name a model; what names a file of ComfyUI's input, output or temp folder does not.

    A value may be plain, wrapped (``{"__value__": [...]}``), or a structure of a pack's own widget.
    """
    definitions = Definitions(object_info)
    for node, entry in api.items():
        class_type, inputs = str(entry.get("class_type")), entry.get("inputs") or {}
        for name, value in inputs.items():
            if is_link(value):
                continue
            definition = definitions.of(class_type, name, inputs)
            if definition is not None and definition.upload:
                continue
            for mention in _of_value(Mention(node, class_type, name, name, "", "text"), value, definition):
                if mention.text.strip() and not split_annotation(mention.text)[1]:
                    yield mention


def _of_value(place: Mention, value: Any, definition: Definition | None) -> Iterator[Mention]:
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    if definition is not None and definition.kind == "COMBO":
        options = definition.options or ()
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                yield place._replace(text=each, kind="choice", options=options)
    elif isinstance(value, str):
        said = _as_json(value)
        yield from [place._replace(text=value)] if said is None else _within(place._replace(kind="quoted"), said)
    else:
        yield from _within(place._replace(kind="item"), value)


def _within(place: Mention, value: Any, depth: int = 0) -> Iterator[Mention]:
    """The texts within a structure."""
    if isinstance(value, str):
        yield place._replace(text=value)
    elif depth > _DEEPEST:
        return
    elif isinstance(value, dict) and not any(value.get(key) is False for key in _OFF):
        for key, item in value.items():
            yield from _within(place._replace(key=str(key)), item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _within(place, item, depth + 1)


def _as_json(text: str) -> Any:
    """What `text` says when it is a JSON object or list, else None."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _LONGEST_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
