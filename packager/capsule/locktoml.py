"""`capsule.toml`: the lock as a file that a person can read and diff."""

from __future__ import annotations

from typing import Any

import tomlkit
from tomlkit.items import AoT, InlineTable, Table

from .models import Lock

_HEADER = (
    "The lock of a Comfy Capsule: what the workflow's environment is, to the byte.",
    "Written by comfy-capsule; the Python environment stands beside it in pylock.toml (PEP 751).",
)
_SECTIONS = {
    "platform": "What it ran on, as far as it must be equal elsewhere.",
    "comfyui": "ComfyUI itself.",
    "system": "What it needs of the operating system; packages as Debian 12 names them.",
    "packs": "Every custom-node pack; `used` says whether this graph needs it.",
    "models": "The model files that the graph uses: content is identity, the path only a placement.",
    "inputs": "The input files that the graph reads; their bytes are in inputs/.",
    "files": "Further files that a traced run opened: ignored by git, or in a cache of the user's.",
    "findings": "What stands against exact reproduction, each with its cure.",
    "observed": "Merely seen; no part of the environment digest.",
}


def lock_toml(lock: Lock) -> str:
    """The text of `capsule.toml`: fixed order, a comment a section, empty fields left out."""
    said = lock.model_dump(mode="json")
    document = tomlkit.document()
    for line in _HEADER:
        document.add(tomlkit.comment(line))
    for key, value in said.items():
        if isinstance(value, dict):
            if not any(value.values()):
                continue
            document.add(tomlkit.nl())
            document.add(tomlkit.comment(_SECTIONS[key]))
            document.add(key, _table(value))
        elif isinstance(value, list):
            if value:
                document.add(tomlkit.nl())
                document.add(tomlkit.comment(_SECTIONS[key]))
                document.add(key, _tables(value))
        elif value != "":
            document.add(key, value)
    return tomlkit.dumps(document)


def _table(value: dict[str, Any]) -> Table:
    table = tomlkit.table()
    # What a thing is called comes first, then what it is.
    for key, item in sorted(value.items(), key=lambda entry: entry[0] not in ("name", "path", "version")):
        if item not in ("", [], None):
            table.add(key, _array(item) if isinstance(item, list) else item)
    return table


def _array(items: list[Any]) -> Any:
    array = tomlkit.array()
    array.extend([_inline(item) if isinstance(item, dict) else item for item in items])
    return array.multiline(len(items) > 4 or any(isinstance(item, dict) for item in items))


def _inline(value: dict[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update({key: item for key, item in value.items() if item not in ("", [], None)})
    return table


def _tables(items: list[dict[str, Any]]) -> AoT:
    tables = tomlkit.aot()
    for item in items:
        tables.append(_table(item))
    return tables
