"""Options that a definition alone does not tell: those of a dynamic choice, and those that stand in the node itself."""

from __future__ import annotations

import re
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


#: ComfyUI's Custom Combo (``comfy_extras/nodes_logic.py``, 0.30.0): its options are written into ``option1``,
#: ``option2`` … in the editor; ``index``, which the front-end keeps, is the place of the chosen one among those that
#: are not empty.
_CUSTOM, _OPTION, PLACE = "CustomCombo", re.compile(r"option(\d+)"), "index"


def own_options(class_type: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The options of the choice `name` that the node's other inputs hold; None for every other input."""
    if class_type != _CUSTOM or name != "choice":
        return None
    return tuple(dict.fromkeys(_written(inputs)))


def places(class_type: str, name: str, inputs: Mapping[str, Any]) -> dict[str, int] | None:
    """What each of the node's `own_options` sets at its input `PLACE`; None where there is no such input."""
    if class_type != _CUSTOM or name != "choice" or not isinstance(inputs.get(PLACE), int):
        return None
    written = _written(inputs)
    return {option: written.index(option) for option in written}  # the first, where two are the same


def _written(inputs: Mapping[str, Any]) -> list[str]:
    numbered = [(int(found[1]), inputs[key]) for key in inputs if (found := _OPTION.fullmatch(key))]
    return [option for _, option in sorted(numbered, key=lambda each: each[0]) if isinstance(option, str) and option]
