"""``--split``: in parts of which size the vendored files of a capsule are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from .capsule import SMALLEST_PART
from .errors import BadInput

_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([KMGT]?)(i?)B?)?", re.IGNORECASE)


def part_size(text: str | None) -> int | None:
    """The bytes of ``--split``: ``4GiB``, ``700MB`` or a plain number. Raises BadInput ``bad-usage``."""
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    power = "KMGT".index(found[2].upper()) + 1 if found and found[2] else 0
    size = int(found[1]) * (1024 if found[3] else 1000) ** power if found else 0
    if size < SMALLEST_PART:
        message = f"{text!r} is no size of a part, or less than {SMALLEST_PART:,} bytes."
        raise BadInput("bad-usage", message, "Say it as 4GiB, or 700MB.")
    return size


def split_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--split``: the vendored files in parts beside the capsule."""
    return click.option("--split", metavar="SIZE", help="Put what is vendored into parts of this size, e.g. 4GiB.")(
        function
    )
