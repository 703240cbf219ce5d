"""The text of a `pylock.toml`: short lines that compare well; a library takes ten times as long."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def pylock_text(said: Mapping[str, Any], comment: str) -> str:
    """`said` (strings, whole numbers, booleans, lists and mappings) as TOML 1.0, its order kept.

    Lists of mappings at the top and mappings become tables; what is in them further down stands in one line.
    """
    lines = [f"# {comment}"]
    tables: list[str] = []
    for key, value in said.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                tables += ["", f"[[{_key(key)}]]", *(f"{_key(name)} = {_value(one)}" for name, one in item.items())]
        elif isinstance(value, Mapping):
            tables += _table(_key(key), value)
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in plain.items())] if plain else []
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _table(f"{name}.{_key(key)}", value)
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        items = [_value(item) for item in value]
        return (
            "[" + ", ".join(items) + "]" if len(items) < 2 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        )
    if isinstance(value, str):
        # A JSON string is a TOML string but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"{type(value).__name__} has no place in a lock")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)
