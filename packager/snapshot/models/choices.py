"""What a choice of models is limited to: those of its list that the snapshot holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...capsule import ApiGraph, Model
from ...workflow import file_choices
from .folders import slashed


def model_choices(
    graph: ApiGraph, object_info: Mapping[str, Any], models: Iterable[Model]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """``{(node, input): names}`` for each choice of `graph` that is one of `models`, or a folder of them.

    One name may stand in several folders: then that one counts which fits the choice's own list best.
    """
    names: dict[str, list[str]] = {}
    for model in models:
        names.setdefault(model.folder, []).append(model.name)
    whole = {folder: _folders(inside) for folder, inside in names.items()}
    found = {}
    for choice in file_choices(graph, object_info):
        if choice.upload or not isinstance(choice.value, str):
            continue
        options = {slashed(option) for option in choice.options if isinstance(option, str)}
        for held in (names, whole):
            holding = [inside for inside in held.values() if slashed(choice.value) in inside]
            if holding:
                best = max(holding, key=lambda inside: 2 * len(options.intersection(inside)) - len(inside))
                offered = [name for name in best if held is names or name in options]
                found[choice.node, choice.input] = tuple(offered)
                break
    return found


def _folders(names: Iterable[str]) -> list[str]:
    """Every folder that one of `names` is in, sorted."""
    above = {name[:end] for name in names for end in range(len(name)) if name[end] == "/"}
    return sorted(above)
