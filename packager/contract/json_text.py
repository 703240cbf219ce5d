"""JSON values that a graph holds as texts: a caller sends the value, the node gets its text."""

from __future__ import annotations

import json
from typing import Any

from ..errors import BadInput
from ..strict_json import loads


def read_text(text: str) -> Any:
    """The value that `text` says.

    Raises:
        BadInput: ``mark-default-not-json``. Nothing of the text is told: it may be a secret.
    """
    try:
        return loads(text)
    except RecursionError:
        raise BadInput("mark-default-not-json", "it is nested too deeply") from None
    except ValueError as error:
        raise BadInput("mark-default-not-json", str(error)) from None


def write_text(value: Any, old: object) -> str:
    """The text of `value`; `old` itself where it says the same, so that the user's own spacing stays."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(old, str):
        try:
            if json.dumps(read_text(old), ensure_ascii=False) == text:  # as texts: True is no 1 here
                return old
        except BadInput:
            pass
    return text
