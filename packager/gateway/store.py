"""The `ExecutionStore` in a SQL database through SQLAlchemy: SQLite by default."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Update, bindparam, delete, exists, insert, or_, select, update

from .batch_store import SqlBatches
from .database import database
from .models import ENDED, Execution, Item, NewExecution, State, StoredFile
from .prepared import Prepared
from .rows import (
    COLUMNS,
    INSERT_ONE,
    UNTOLD,
    check_own,
    conflict,
    count_waiting,
    execution,
    executions,
    queued,
    room_for,
    whole,
)
from .tables import batches as b
from .tables import executions as t
from .tables import files as f
from .tables import webhooks as w
from .webhook_store import SqlWebhooks

_T = TypeVar("_T")


# Built once: building a statement costs more than SQLite takes to run it.
@cache
def _next(workflows: tuple[str, ...]) -> Prepared:
    first = (
        select(t.c.id)
        .where(t.c.state == "queued", or_(*(t.c.workflow == name for name in workflows)))
        .order_by(t.c.priority, t.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite has no row locks and needs none: one writer at a time
    )
    return Prepared(first, columns=(t.c.id,))


_CLAIM = Prepared(
    update(t)
    .where(t.c.id == bindparam("its_id"), t.c.state == "queued")
    .values(
        state="running",
        worker=bindparam("worker"),
        lease_until=bindparam("lease_until"),
        started=bindparam("started"),
        token=t.c.token + 1,
        attempts=t.c.attempts + 1,
        submitted=False,
    )
    .returning(*COLUMNS),
    columns=COLUMNS,
)
_ITS_EXECUTIONS = exists().where(t.c.batch == b.c.id).correlate(b)
_OUTPUTS = select(t.c.seq, t.c.outputs).where(t.c.seq > bindparam("after")).order_by(t.c.seq).limit(500)
_FINISH = Prepared(
    update(t)
    .where(t.c.id == bindparam("its_id"), t.c.token == bindparam("its_token"), t.c.state == "running")
    .values(
        state=bindparam("state"),
        finished=bindparam("finished"),
        outputs=bindparam("outputs"),
        problem=bindparam("problem"),
        lease_until=0.0,
    )
)


class SqlStore:
    """Every method is one transaction. Needs the event loop."""

    def __init__(self, url: str) -> None:
        self._database = database(url)
        self._run, self._now = self._database.run, self._database.now
        self.secret = self._database.secret
        self.webhooks = SqlWebhooks(self._database)
        self.batches = SqlBatches(self._database)

    async def add(
        self, new: NewExecution, *, bound: int, own_bound: int = 0, worker: str = "", lease: float = 0
    ) -> tuple[Execution, bool]:
        row = queued(new.model_dump(exclude={"idempotency_key", "webhook"}))
        row["idempotency_key"] = new.idempotency_key or None

        def work(c: Connection) -> tuple[Execution, bool]:
            if new.idempotency_key and (earlier := _by_key(c, new)):
                return earlier, False
            waiting = room_for(c, 1, bound)
            check_own(c, new.owner, 1, own_bound)
            if worker and not waiting:
                row.update(state="running", worker=worker, token=1, attempts=1)
                row.update(lease_until=self._now() + lease, started=time.time())
            INSERT_ONE.changed(c, whole(row))
            if new.webhook:
                c.execute(insert(w).values(execution=row["id"], url=new.webhook, state="waiting"))
            told = {name: value for name, value in row.items() if name not in UNTOLD}
            return Execution.model_validate(told), True

        return await self._run(work)

    async def earlier(self, new: NewExecution) -> Execution | None:
        return await self._run(lambda c: _by_key(c, new))

    async def get(self, id: str, owner: str | None = None) -> Execution | None:
        query = select(*COLUMNS).where(t.c.id == id)
        if owner is not None:
            query = query.where(t.c.owner == owner)
        return await self._run(lambda c: execution(c.execute(query).first()))

    async def list(
        self, owner: str | None, *, workflow: str = "", state: str = "", limit: int = 50, before: str = ""
    ) -> Sequence[Execution]:
        query = select(*COLUMNS).order_by(t.c.seq.desc()).limit(limit)
        if owner is not None:
            query = query.where(t.c.owner == owner)
        if workflow:
            query = query.where(t.c.workflow == workflow)
        if state:
            query = query.where(t.c.state == state)
        if before:
            query = query.where(t.c.seq < select(t.c.seq).where(t.c.id == before).scalar_subquery())
        return await self._run(lambda c: executions(c.execute(query).all()))

    async def claim(self, worker: str, workflows: Sequence[str], lease: float) -> Execution | None:
        def work(c: Connection) -> Execution | None:
            next = _next(tuple(workflows)).first(c, {})
            if next is None:
                return None
            now = time.time()
            claim = {"its_id": next["id"], "worker": worker, "lease_until": self._now() + lease, "started": now}
            row = _CLAIM.first(c, claim)
            return None if row is None else Execution.model_validate(row)

        return await self._run(work)

    async def renew(self, claims: Mapping[str, int], lease: float) -> Mapping[str, bool]:
        def work(c: Connection) -> dict[str, bool]:
            kept = {}
            for id, token in claims.items():
                extended = _ours(id, token).values(lease_until=self._now() + lease).returning(t.c.cancel_requested)
                if (row := c.execute(extended).first()) is not None:
                    kept[id] = bool(row.cancel_requested)
            return kept

        return await self._run(work)

    async def mark_submitted(self, id: str, token: int) -> bool:
        return await self._run(lambda c: c.execute(_ours(id, token).values(submitted=True)).rowcount == 1)

    async def requeue(self, id: str, token: int) -> bool:
        again = _ours(id, token).values(
            state="queued", prompt_id=str(uuid.uuid4()), submitted=False, worker="", lease_until=0.0
        )
        return await self._run(lambda c: c.execute(again).rowcount == 1)

    async def finish(
        self,
        id: str,
        token: int,
        state: State,
        finished: float,
        *,
        outputs: Mapping[str, Sequence[Item]] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> bool:
        told = {name: [item.model_dump() for item in items] for name, items in (outputs or {}).items()}
        values = {
            "its_id": id, "its_token": token, "state": state, "finished": finished, "outputs": told, "problem": problem,
        }  # fmt: skip
        return await self._run(lambda c: _FINISH.changed(c, values) == 1)

    async def request_cancel(self, id: str) -> Execution | None:
        def work(c: Connection) -> Execution | None:
            now = time.time()
            queued = update(t).where(t.c.id == id, t.c.state == "queued")
            c.execute(queued.values(state="cancelled", finished=now, cancel_requested=True))
            c.execute(update(t).where(t.c.id == id, t.c.state == "running").values(cancel_requested=True))
            return execution(c.execute(select(*COLUMNS).where(t.c.id == id)).first())

        return await self._run(work)

    async def adopt(self, worker: str, lease: float, *, own: bool) -> Sequence[Execution]:
        now = self._now()
        left_behind = or_(t.c.lease_until < now, t.c.worker == worker) if own else t.c.lease_until < now
        left = update(t).where(t.c.state == "running", left_behind).values(
            worker=worker, token=t.c.token + 1, lease_until=now + lease
        )  # fmt: skip
        return await self._run(lambda c: executions(c.execute(left.returning(*COLUMNS)).all()))

    async def waiting(self) -> int:
        return await self._run(count_waiting)

    async def forget(self, before: float, most: int) -> tuple[int, int]:
        untold = select(w.c.execution).where(w.c.state.in_(("waiting", "pending")))
        ended = select(t.c.id, t.c.batch, t.c.outputs).where(
            t.c.state.in_(sorted(ENDED)), t.c.finished < before, t.c.id.not_in(untold), t.c.batch.not_in(untold)
        )

        def work(c: Connection) -> tuple[int, int]:
            rows = c.execute(ended.order_by(t.c.seq).limit(most)).all()
            gone = [row.id for row in rows]
            c.execute(delete(w).where(w.c.execution.in_([*gone, *{row.batch for row in rows}])))
            c.execute(delete(t).where(t.c.id.in_(gone)))
            c.execute(delete(b).where(b.c.id.in_({row.batch for row in rows}), ~_ITS_EXECUTIONS))
            return len(gone), sum(item["size"] for row in rows for items in row.outputs.values() for item in items)

        return await self._run(work)

    async def forget_files(self, before: float, most: int) -> int:
        live = select(t.c.parameters).where(t.c.state.not_in(sorted(ENDED)))

        def work(c: Connection) -> int:
            given = (value for parameters in c.execute(live).scalars() for value in parameters.values())
            needed = {value["file"] for value in given if isinstance(value, dict) and "file" in value}
            old = c.execute(select(f.c.id).where(f.c.created < before).order_by(f.c.created)).scalars()
            gone = list(islice((id for id in old if id not in needed), most))
            return c.execute(delete(f).where(f.c.id.in_(gone))).rowcount

        return await self._run(work)

    async def digests(self) -> set[str]:
        found = set(await self._run(lambda c: c.execute(select(f.c.sha256)).scalars().all()))
        after = {"after": 0}
        while rows := await self._run(lambda c: c.execute(_OUTPUTS, after).all()):
            after["after"] = rows[-1].seq
            found |= {item["sha256"] for row in rows for items in row.outputs.values() for item in items}
        return found

    async def add_file(self, owner: str, filename: str, type: str, size: int, sha256: str) -> StoredFile:
        same = select(f).where(f.c.owner == owner, f.c.sha256 == sha256, f.c.filename == filename, f.c.type == type)

        def work(c: Connection) -> StoredFile:
            if (row := c.execute(same).first()) is None:
                values = {
                    "id": secrets.token_urlsafe(18), "owner": owner, "filename": filename, "type": type,
                    "size": size, "sha256": sha256, "created": time.time(),
                }  # fmt: skip
                c.execute(insert(f).values(values))
                return StoredFile.model_validate(values)
            now = time.time()  # wanted anew, so it is kept anew
            c.execute(update(f).where(f.c.id == row.id).values(created=now))
            return StoredFile.model_validate({**row._asdict(), "created": now})

        return await self._run(work)

    async def get_file(self, id: str, owner: str | None = None) -> StoredFile | None:
        query = select(f).where(f.c.id == id)
        if owner is not None:
            query = query.where(f.c.owner == owner)

        def work(c: Connection) -> StoredFile | None:
            row = c.execute(query).first()
            return None if row is None else StoredFile.model_validate(row._asdict())

        return await self._run(work)

    async def close(self) -> None:
        await self._database.close()


def _ours(id: str, token: int) -> Update:
    """The execution while the claim with this token still holds it."""
    return update(t).where(t.c.id == id, t.c.token == token, t.c.state == "running")


def _by_key(c: Connection, new: NewExecution) -> Execution | None:
    query = select(*COLUMNS, t.c.body_digest).where(
        t.c.owner == new.owner, t.c.workflow == new.workflow, t.c.idempotency_key == new.idempotency_key
    )
    row = c.execute(query).first()
    if row is None:
        return None
    if row.body_digest != new.body_digest:
        raise conflict(new.idempotency_key)
    return Execution.model_validate({name: value for name, value in row._asdict().items() if name != "body_digest"})
