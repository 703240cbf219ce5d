"""Which options of a dynamic choice may be chosen without the graph changing its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..workflow import Definition
from ..workflow.definitions import DYNAMIC_COMBO


def interchangeable(definition: Definition, name: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The options of the dynamic choice `name` that bring the same inputs as the chosen one, itself among them.

    Each option brings its own inputs (``model.resolution``); one with other inputs would ask for values that the
    graph does not give, and ComfyUI would refuse it.
    """
    if definition.kind != DYNAMIC_COMBO:
        return ()
    options = definition.settings.get("options") or ()
    chosen = next((option for option in options if option.get("key") == inputs.get(name)), None)
    if chosen is None:
        return ()
    return tuple(option.get("key") for option in options if option.get("inputs") == chosen.get("inputs"))
