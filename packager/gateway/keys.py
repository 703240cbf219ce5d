"""API keys: who may do what, how often, and how much at once. Only their hashes are held."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import BadInput

#: ``run``: start, cancel and upload; ``read``: see what one's own key made; ``admin``: see and cancel everybody's.
Scope = Literal["run", "read", "admin"]
_HASHED = re.compile(r"^sha256:([0-9a-f]{64})$")
_RATE = re.compile(r"^(\d+)/(s|min|h)$")
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FORM = "NAME KEY, with scopes=run+read, rate=60/min and concurrency=4 after it if wanted"


class Key(BaseModel):
    """One API key: a name to own things by, and the sha256 (hex) of the key itself, which is kept nowhere."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    scopes: frozenset[Scope] = frozenset({"run", "read"})
    rate: float = Field(default=0, ge=0)  # requests that change something, a second; 0: no limit
    burst: int = Field(default=0, ge=0)  # of them at once
    concurrency: int = Field(default=0, ge=0)  # executions that wait or run; 0: no limit


def read_key(line: str) -> Key | None:
    """One key from ``[NAME] KEY [OPTION=…]`` or with ``sha256:HEX`` for KEY; None for an empty line or a ``#`` comment.

    Raises:
        BadInput: ``bad-key-file``, which never quotes the line.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    options = [word for word in words[1:] if re.match(r"(scopes|rate|concurrency)=", word)]
    words = [word for word in words if word not in options]
    if len(words) > 2:
        raise BadInput("bad-key-file", "A line of the API keys has more than a name, a key and its options.", _FORM)
    hashed = _HASHED.match(words[-1])
    digest = hashed.group(1) if hashed else hashlib.sha256(words[-1].encode()).hexdigest()
    name = words[0] if len(words) == 2 else f"key-{digest[:12]}"
    try:
        return Key(name=name, sha256=digest, **_options(options))
    except (ValueError, ValidationError) as error:
        raise BadInput("bad-key-file", f"An option of the API key {name!r} cannot be used.", _FORM) from error


def _options(words: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, _, value in (word.partition("=") for word in words):
        if name == "scopes":
            told["scopes"] = set(value.split("+"))
            if not told["scopes"] <= set(get_args(Scope)):
                raise ValueError(value)
        elif name == "concurrency":
            told["concurrency"] = int(value)
        else:
            found = _RATE.match(value)
            if not found or not int(found[1]):
                raise ValueError(value)
            told |= {"rate": int(found[1]) / _UNITS[found[2]], "burst": int(found[1])}
    return told


class Rates:
    """A token bucket for each key with a rate: full it lets its whole count through at once."""

    def __init__(self, keys: Sequence[Key], now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._left = {key.name: (float(key.burst), now()) for key in keys if key.rate}

    def take(self, key: Key) -> float:
        """Seconds until one more request of `key` may be; 0 when it may now, and is counted."""
        if not key.rate:
            return 0
        left, at = self._left[key.name]
        now = self._now()
        left = min(float(key.burst), left + (now - at) * key.rate)
        may = left >= 1
        self._left[key.name] = (left - 1 if may else left, now)
        return 0 if may else (1 - left) / key.rate
