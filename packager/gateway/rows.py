"""Rows of executions: made, read, counted; for the parts of the store that share them."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Connection, Integer, Row, func, insert, select

from .models import Execution
from .prepared import Prepared
from .problems import Problem
from .tables import executions as t

UNTOLD = ("seq", "lease_until", "idempotency_key", "body_digest")
COLUMNS = tuple(column for column in t.c if column.name not in UNTOLD)

# Built once: building a statement costs more than SQLite takes to run it.
INSERT = insert(t)
_WAITING = Prepared(
    select(func.count()).where(t.c.state == "queued"), columns=(Column("waiting", Integer, nullable=False),)
)
#: What a new row has in each column where nothing else is said.
_DEFAULTS: dict[str, Any] = {each.name: getattr(each.default, "arg", None) for each in t.c}
del _DEFAULTS["seq"], _DEFAULTS["problem"]
INSERT_ONE = Prepared(INSERT, given=tuple(_DEFAULTS))


def queued(values: dict[str, Any]) -> dict[str, Any]:
    """A new row with `values`."""
    made = {
        "id": secrets.token_urlsafe(18), "state": "queued", "created": time.time(), "outputs": {},
        "prompt_id": str(uuid.uuid4()),  # ComfyUI takes only the canonical form
    }  # fmt: skip
    return {**values, **made}


def whole(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with every value that `INSERT_ONE` is given."""
    return {**_DEFAULTS, **row}


def count_waiting(c: Connection) -> int:
    """How many executions wait."""
    return int((_WAITING.first(c, {}) or {})["waiting"])


def room_for(c: Connection, more: int, bound: int) -> int:
    """How many wait; refused when with `more` of them there would be more than `bound`."""
    waiting = count_waiting(c)
    if waiting + more > bound:
        raise Problem(
            "queue-full",
            f"{waiting} executions are waiting, the most this gateway takes is {bound}.",
            "Try again later.",
            headers={"Retry-After": "5"},
        )
    return waiting


def check_own(c: Connection, owner: str, more: int, bound: int) -> None:
    """Refuse `more` of `owner` when with them more than `bound` (0: any number) would wait or run."""
    if not bound:
        return
    live = select(func.count()).where(t.c.owner == owner, t.c.state.in_(("queued", "running")))
    if c.execute(live).scalar_one() + more > bound:
        raise Problem(
            "too-many-at-once",
            f"This API key may have {bound} executions at once.",
            "Try again when one has ended.",
            headers={"Retry-After": "5"},
        )


def conflict(key: str) -> Problem:
    return Problem(
        "idempotency-conflict",
        f"The idempotency key {key!r} was used for a request with other parameters.",
        "Use a new key for a new request.",
    )


def execution(row: Row[Any] | None) -> Execution | None:
    return None if row is None else Execution.model_validate(row._asdict())


def executions(rows: Iterable[Row[Any]]) -> list[Execution]:
    return [Execution.model_validate(row._asdict()) for row in rows]
