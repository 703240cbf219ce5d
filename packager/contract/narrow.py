"""A user's mark narrows what the node allows, and never widens it."""

from __future__ import annotations

import math
from typing import Any

from ..errors import BadInput
from ..workflow import InputSettings
from .models import MEDIA_TYPES
from .widgets import Widget

_NUMBERS = {"integer", "number", "seed"}


def narrowed(widget: Widget, settings: InputSettings, where: str) -> Widget:
    """`widget` with the bounds of `settings`; its value is the default.

    Args:
        where: how a sentence names the marked widget.

    Raises:
        BadInput: ``mark-widens``, ``mark-bounds-cross``, ``mark-does-not-fit``, ``mark-default-out-of-bounds``.
    """
    update: dict[str, Any] = {}
    numbers = {"minimum": settings.minimum, "maximum": settings.maximum, "step": settings.step}
    given = {key: value for key, value in numbers.items() if value is not None}
    if given and widget.type not in _NUMBERS:
        raise _misfit(where, next(iter(given)), widget)
    for key, value in given.items():
        if not math.isfinite(value) or (widget.type != "number" and value != int(value)):
            raise BadInput("mark-does-not-fit", f"The {key} {value} of the mark on {where} is no whole number.")
        update[key] = value if widget.type == "number" else int(value)
    _no_wider(widget, update, where)
    if settings.choices is not None:
        if widget.choices is None and widget.type != "string":
            raise _misfit(where, "choices", widget)
        if not settings.choices:
            raise BadInput("mark-does-not-fit", f"The mark on {where} offers no choices.", "Give it at least one.")
        update["choices"] = settings.choices
        if widget.choices is None:  # of all texts, these
            update["type"] = "choice"
        for choice in settings.choices:
            known = isinstance(choice, str) if widget.choices is None else among(choice, widget.choices)
            if not known and not widget.open:
                raise BadInput(
                    "mark-widens",
                    f"The mark on {where} offers {choice!r}, which the node does not.",
                    "Take it out of the mark's choices.",
                )
    if settings.max_length is not None and widget.type != "string":
        raise _misfit(where, "maximum length", widget)
    if settings.default is not None:
        if widget.type in MEDIA_TYPES:
            raise _misfit(where, "default", widget)
        update["value"] = settings.default
    narrow = widget.model_copy(update=update)
    wrong = not_allowed(narrow, narrow.value, settings.max_length)
    if narrow.value is not None and wrong:
        raise BadInput(
            "mark-default-out-of-bounds",
            f"The default {_short(narrow.value)} of the mark on {where} is not allowed: {wrong}.",
            "Change the value in the editor, the mark's default, or its bounds.",
        )
    return narrow


def _no_wider(widget: Widget, update: dict[str, Any], where: str) -> None:
    low, high = update.get("minimum"), update.get("maximum")
    if low is not None and widget.minimum is not None and low < widget.minimum:
        raise BadInput(
            "mark-widens",
            f"The mark on {where} allows {low}, but the node's minimum is {widget.minimum}.",
            "Raise the mark's minimum.",
        )
    if high is not None and widget.maximum is not None and high > widget.maximum:
        raise BadInput(
            "mark-widens",
            f"The mark on {where} allows {high}, but the node's maximum is {widget.maximum}.",
            "Lower the mark's maximum.",
        )
    low, high = low if low is not None else widget.minimum, high if high is not None else widget.maximum
    if low is not None and high is not None and low > high:
        raise BadInput("mark-bounds-cross", f"The minimum {low} of the mark on {where} is above its maximum {high}.")
    step = update.get("step")
    if step is not None and step <= 0:
        raise BadInput("mark-does-not-fit", f"The step {step} of the mark on {where} is not above 0.")
    if step is not None and widget.step and widget.type != "number" and step % widget.step:
        raise BadInput(
            "mark-widens",
            f"The mark on {where} steps by {step}, but the node steps by {widget.step}.",
            f"Use a multiple of {widget.step}.",
        )


def not_allowed(widget: Widget, value: Any, max_length: int | None = None) -> str:
    """Why `value` may not be set there, or an empty string when it may."""
    kind = widget.type
    if widget.multiple:
        alien = [v for v in value if not among(v, widget.choices or ())] if isinstance(value, list) else [value]
        return f"{_short(alien[0])} is none of its choices" if alien else ""
    if kind == "choice":
        return "" if among(value, widget.choices or ()) else f"it is none of its {len(widget.choices or ())} choices"
    if kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int if kind != "number" else (int, float)):
            return "it is no whole number" if kind != "number" else "it is no number"
        if not math.isfinite(value):
            return "it is not finite"
        if widget.minimum is not None and value < widget.minimum:
            return f"the minimum is {widget.minimum}"
        if widget.maximum is not None and value > widget.maximum:
            return f"the maximum is {widget.maximum}"
    if kind == "boolean" and not isinstance(value, bool):
        return "it is neither true nor false"
    if kind in ("string", "color") and not isinstance(value, str):
        return "it is no text"
    if kind == "string" and max_length is not None and len(value) > max_length:
        return f"it is longer than {max_length} characters"
    return ""


def among(value: Any, choices: tuple[Any, ...]) -> bool:
    """Whether `value` is one of `choices`, where true is not 1 and 1 is 1.0, as JSON Schema's enum has it."""
    return any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices)


def _misfit(where: str, what: str, widget: Widget) -> BadInput:
    return BadInput(
        "mark-does-not-fit",
        f"The mark on {where} has a {what}, which an input of type {widget.type} cannot have.",
        "Take it out of the mark.",
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
