"""JSON as RFC 8259 has it: Python's own reader also takes NaN, Infinity, and numbers that no float holds."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str) -> Any:
    """The value that `text` says.

    Raises:
        ValueError: where it ends to be JSON, with nothing of the text: it may be a secret.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number
