"""The `BatchStore` in the same SQL database as the executions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from .database import Database
from .models import Batch, Execution, NewBatch
from .rows import COLUMNS, INSERT, check_own, conflict, executions, queued, room_for
from .tables import batches as b
from .tables import executions as t
from .tables import webhooks as w

_BATCH = ("id", "workflow", "owner", "created", "total")


class SqlBatches:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    async def add(self, new: NewBatch, *, bound: int, own_bound: int = 0) -> tuple[Batch, bool]:
        id, now = secrets.token_urlsafe(18), time.time()
        shared = {"workflow": new.workflow, "capsule": new.capsule, "owner": new.owner, "priority": new.priority,
                  "previews": new.previews}  # fmt: skip
        rows = [
            {**queued({**shared, "parameters": each, "batch": id, "body_digest": ""}), "idempotency_key": None}
            for each in new.items
        ]
        row = {
            "id": id, "workflow": new.workflow, "owner": new.owner, "created": now, "total": len(rows),
            "idempotency_key": new.idempotency_key or None, "body_digest": new.body_digest,
        }  # fmt: skip

        def work(c: Connection) -> tuple[Batch, bool]:
            if new.idempotency_key and (earlier := _batch_by_key(c, new)):
                return earlier, False
            room_for(c, len(rows), bound)
            check_own(c, new.owner, len(rows), own_bound)
            c.execute(insert(b), row)
            c.execute(INSERT, rows)
            if new.webhook:
                c.execute(insert(w).values(execution=id, url=new.webhook, state="waiting"))
            made = Batch(**{name: row[name] for name in _BATCH}, states={"queued": len(rows)})
            return made, True

        return await self._run(work)

    async def earlier(self, new: NewBatch) -> Batch | None:
        return await self._run(lambda c: _batch_by_key(c, new))

    async def get(self, id: str, owner: str | None = None) -> Batch | None:
        query = select(b).where(b.c.id == id)
        if owner is not None:
            query = query.where(b.c.owner == owner)
        return await self._run(lambda c: _batch(c, c.execute(query).first()))

    async def list(self, id: str) -> Sequence[Execution]:
        query = select(*COLUMNS).where(t.c.batch == id).order_by(t.c.seq)
        return await self._run(lambda c: executions(c.execute(query).all()))

    async def cancel(self, id: str) -> Sequence[Execution]:
        queued = update(t).where(t.c.batch == id, t.c.state == "queued")
        running = update(t).where(t.c.batch == id, t.c.state == "running").values(cancel_requested=True)

        def work(c: Connection) -> list[Execution]:
            gone = queued.values(state="cancelled", finished=time.time(), cancel_requested=True)
            return executions(
                [*c.execute(gone.returning(*COLUMNS)).all(), *c.execute(running.returning(*COLUMNS)).all()]
            )

        return await self._run(work)


def _batch_by_key(c: Connection, new: NewBatch) -> Batch | None:
    query = select(b).where(
        b.c.owner == new.owner, b.c.workflow == new.workflow, b.c.idempotency_key == new.idempotency_key
    )
    row = c.execute(query).first()
    if row is not None and row.body_digest != new.body_digest:
        raise conflict(new.idempotency_key)
    return _batch(c, row)


def _batch(c: Connection, row: Row[Any] | None) -> Batch | None:
    if row is None:
        return None
    states = select(t.c.state, func.count()).where(t.c.batch == row.id).group_by(t.c.state)
    counted = {row.state: row[1] for row in c.execute(states)}
    return Batch(**{name: getattr(row, name) for name in _BATCH}, states=counted)
