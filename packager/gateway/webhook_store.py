"""The `WebhookStore` in the same SQL database as the executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, or_, select, update

from .database import Database
from .models import ENDED, Webhook
from .tables import batches as b
from .tables import executions as t
from .tables import webhooks as w

_COLUMNS = tuple(column for column in w.c if column.name != "lease_until")

_GET = select(*_COLUMNS).where(w.c.execution == bindparam("its_execution"))
_HAS_ENDED = exists().where(t.c.id == w.c.execution, t.c.state.in_(sorted(ENDED))).correlate(w)
_LIVES = exists().where(t.c.batch == w.c.execution, t.c.state.not_in(sorted(ENDED))).correlate(w)
_BATCH_HAS_ENDED = and_(exists().where(b.c.id == w.c.execution).correlate(w), ~_LIVES)
_BEGIN = (
    update(w)
    .where(w.c.state == "waiting", or_(_HAS_ENDED, _BATCH_HAS_ENDED))
    .values(state="pending", next_at=bindparam("now"))
)
_DUE = (
    select(w.c.execution)
    .where(w.c.state == "pending", w.c.next_at <= bindparam("now"), w.c.lease_until < bindparam("now"))
    .order_by(w.c.next_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(w)
    .where(w.c.execution == bindparam("its_execution"))
    .values(lease_until=bindparam("until"), token=w.c.token + 1, attempts=w.c.attempts + 1)
    .returning(*_COLUMNS)
)
_SETTLE = (
    update(w)
    .where(w.c.execution == bindparam("its_execution"), w.c.token == bindparam("its_token"), w.c.state == "pending")
    .values(
        state=bindparam("state"),
        status=bindparam("status"),
        error=bindparam("error"),
        next_at=bindparam("next_at"),
        delivered=bindparam("delivered"),
        lease_until=0.0,
    )
)


class SqlWebhooks:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._run, self._now = database.run, database.now

    async def get(self, execution: str) -> Webhook | None:
        return await self._run(lambda c: _webhook(c.execute(_GET, {"its_execution": execution}).first()))

    async def claim(self, most: int, lease: float) -> Sequence[Webhook]:
        def work(c: Connection) -> list[Webhook]:
            now = self._now()
            c.execute(_BEGIN, {"now": now})
            due = c.execute(_DUE, {"now": now, "most": most}).scalars().all()
            claimed = [c.execute(_CLAIM, {"its_execution": id, "until": now + lease}).first() for id in due]
            return [webhook for row in claimed if (webhook := _webhook(row)) is not None]

        return await self._run(work)

    async def settle(self, webhook: Webhook) -> bool:
        values = webhook.model_dump(include={"state", "status", "error", "next_at", "delivered"})
        values |= {"its_execution": webhook.execution, "its_token": webhook.token}
        return await self._run(lambda c: c.execute(_SETTLE, values).rowcount == 1)


def _webhook(row: Row[Any] | None) -> Webhook | None:
    return None if row is None else Webhook.model_validate(row._asdict())
