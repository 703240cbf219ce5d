"""From a node's own definition of an input, and the graph's value, to a contract type with its bounds."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import BadInput
from ..workflow import Definition
from ..workflow.definitions import DYNAMIC_COMBO
from .json_text import read_text
from .models import InputType

#: Ends with a look-ahead because Python's ``$`` lets a line break through, which other readers do not.
COLOR = r"^#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{8})(?![\s\S])"
_SEEDS = {"seed", "noise_seed"}
#: Numbers that definitions use for "no bound"; they would only make a schema unreadable.
_NO_BOUND = sys.float_info.max
#: The definition of a text says by this setting that it is the text of a JSON value. Ours; `nodes/inputs.py` has one.
JSON_TEXT = "capsule_json"
#: Classes whose picture is read as a mask.
_MASK_CLASSES = {"LoadImageMask"}

#: Of a choice whose options the front-end fetches.
_OPEN = "These are the options that were known when it was exported."

Scalar = str | int | float | bool


class Widget(BaseModel):
    """What may be set at one target, as the node defines it.

    Attributes:
        value: the graph's own value, unwrapped from ``{"__value__": …}`` and in the contract's type.
        open: whether the node may take other choices, which nothing here knows; the user may name them.
    """

    model_config = ConfigDict(frozen=True)

    type: InputType
    value: Any = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    step: int | float | None = None
    choices: tuple[Scalar, ...] | None = None
    multiline: bool = False
    multiple: bool = False
    as_text: bool = False
    open: bool = False
    description: str = ""


def widget_of(
    definition: Definition | None,
    class_type: str,
    name: str,
    value: Any,
    choices: Collection[str] | None = None,
    fixed: Collection[Any] | None = None,
) -> Widget:
    """The widget `name` of a node of `class_type`, which holds `value` in the graph.

    Args:
        definition: what the class says of it; without one the type is taken from `value`.
        choices: what a choice is limited to (the models that the capsule contains), or None.
        fixed: of a dynamic choice: the options that ask for no other inputs than the graph gives.

    Raises:
        BadInput: ``mark-default-not-json`` when the graph's value is to be the text of a JSON value, and is none.
    """
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    if definition is None:
        return Widget(type=_type_of_value(value), value=value)
    if definition.upload and isinstance(value, str):
        widget = Widget(type=_media(definition, class_type, name), value=value)
    elif definition.options is not None or choices is not None or definition.remote:
        widget = _choice(definition, value, choices, fixed)
    else:
        widget = _plain(definition, name, value)
    words = [str(definition.settings.get("tooltip") or ""), _OPEN if widget.open else ""]
    return widget.model_copy(update={"description": " ".join(filter(None, words))})


def _plain(definition: Definition, name: str, value: Any) -> Widget:
    """A widget of one of ComfyUI's simple types; any other, and values that do not fit, by the value's own type."""
    settings, kind = definition.settings, definition.kind
    if kind == "INT":
        return _integer(definition, name, value)
    kinds = set(kind.split(","))  # a union takes a value of any of its types
    if "FLOAT" in kinds and (kinds <= {"FLOAT", "INT"} or _type_of_value(value) in ("integer", "number")):
        low, high, step = (_bound(settings.get(key)) for key in ("min", "max", "step"))
        low, high = _as_float(low, math.inf), _as_float(high, -math.inf)
        return Widget(type="number", value=_number(value), minimum=low, maximum=high, step=step)
    if kind == "BOOLEAN":
        return Widget(type="boolean", value=bool(value) if isinstance(value, int) else value)
    if settings.get(JSON_TEXT):
        return Widget(type="json", value=read_text(value) if isinstance(value, str) else value, as_text=True)
    if kind == "STRING" and isinstance(value, str):
        return Widget(type="string", value=value, multiline=bool(settings.get("multiline")))
    if kind == "COLOR" and isinstance(value, str) and re.match(COLOR, value):
        return Widget(type="color", value=value)
    return Widget(type=_type_of_value(value), value=value)


def intersect(first: Widget, second: Widget) -> Widget:
    """What may be set at both; the value of both if it is the same, else None.

    Raises:
        BadInput: ``targets-differ`` when nothing may be.
    """
    types = {first.type, second.type}
    if len(types) > 1 and not types <= {"integer", "seed"} and not types <= {"integer", "number", "seed"}:
        raise BadInput("targets-differ", f"one is of type {first.type}, another {second.type}")
    choices = first.choices
    if first.choices is not None and second.choices is not None:
        choices = tuple(choice for choice in first.choices if choice in second.choices)
        if not choices:
            raise BadInput("targets-differ", "their choices have nothing in common")
    minimum = max((w.minimum for w in (first, second) if w.minimum is not None), default=None)
    maximum = min((w.maximum for w in (first, second) if w.maximum is not None), default=None)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise BadInput("targets-differ", "their bounds have nothing in common")
    same = first.value == second.value and type(first.value) is type(second.value)
    if first.as_text != second.as_text:
        raise BadInput("targets-differ", "one takes JSON as a text, another as it is")
    narrow: InputType = first.type if len(types) == 1 else ("integer" if "integer" in types else "seed")
    return first.model_copy(
        update={
            "type": narrow,
            "value": first.value if same else None,
            "minimum": minimum,
            "maximum": maximum,
            "step": max((w.step for w in (first, second) if w.step is not None), default=None),
            "choices": choices,
            "open": first.open and second.open,
        }
    )


def _media(definition: Definition, class_type: str, name: str) -> InputType:
    masks = class_type in _MASK_CLASSES or (definition.kind == "STRING" and name == "mask")
    if definition.upload == "image":
        return "mask" if masks else "image"
    return {"audio": "audio", "video": "video"}.get(definition.upload, "file")  # type: ignore[return-value]


def _choice(
    definition: Definition,
    value: Any,
    allowed: Collection[str] | None,
    fixed: Collection[Any] | None,
) -> Widget:
    options = [option for option in definition.options or () if isinstance(option, (str, int, float, bool))]
    if allowed is not None:
        wanted = {_slashes(name) for name in allowed}
        options = [option for option in options if _slashes(option) in wanted]
        known = {_slashes(option) for option in options}
        options += [name for name in allowed if _slashes(name) not in known]
    if definition.kind == DYNAMIC_COMBO:
        options = [option for option in options if option == value or option in (fixed or ())]
    if definition.multiselect:
        values = value if isinstance(value, list) else [value]
        options += [each for each in values if definition.remote and each not in options]
        return Widget(type="json", value=values, choices=tuple(options), multiple=True, open=definition.remote)
    if definition.remote and isinstance(value, (str, int, float)) and value not in options:
        options.append(value)  # of options that are fetched, the graph's own is the one that is known
    if value not in options:  # a graph made on another system has the other separators
        value = next((option for option in options if _slashes(option) == _slashes(value)), value)
    return Widget(type="choice", value=value, choices=tuple(options), open=definition.remote)


def _integer(definition: Definition, name: str, value: Any) -> Widget:
    settings = definition.settings
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}", value):
        value = int(value)  # ComfyUI takes int(value), so this is what the graph means
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    minimum, maximum = _bound(settings.get("min")), _bound(settings.get("max"))
    seed = bool(settings.get("control_after_generate")) or name.rsplit(".", 1)[-1] in _SEEDS
    step = _bound(settings.get("step"))
    return Widget(
        type="seed" if seed else "integer",
        value=value,
        minimum=None if minimum is None else math.ceil(minimum),
        maximum=None if maximum is None else math.floor(maximum),
        step=int(step) if step and not seed and float(step).is_integer() and step > 1 else None,
    )


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _bound(raw: object) -> int | float | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    if isinstance(raw, float) and (not math.isfinite(raw) or abs(raw) >= _NO_BOUND):
        return None
    return raw


def _as_float(bound: int | float | None, inwards: float) -> int | float | None:
    """ComfyUI compares the float of a value with the bound, which a whole number above 2**53 may round to beyond it."""
    if bound is None or float(bound) == bound:
        return bound
    rounded = float(bound)
    outside = rounded > bound if inwards < 0 else rounded < bound
    return math.nextafter(rounded, inwards) if outside else rounded


def _type_of_value(value: Any) -> InputType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "json"


def _slashes(value: Any) -> Any:
    return value.replace("\\", "/") if isinstance(value, str) else value
