"""What the gateway does, without HTTP: run, find, wait for and cancel executions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..capsule import canonical_json, sha256_bytes
from .board import Board
from .foreign import Foreign
from .interface import ExecutionStore, OutputStore
from .media import Media
from .metrics import Metrics
from .models import Batch, Execution, NewBatch, NewExecution, Terms, Webhook
from .pool import Pool
from .problems import Problem
from .settings import Settings
from .telemetry import Telemetry
from .workflow import Workflow

log = logging.getLogger(__name__)

_KILL = 1.0  # seconds that killing a ComfyUI which ignores a cancel may take
_LOOK = 1.0  # seconds between looks into the store for what another gateway has ended


class Service:
    """One gateway's workflows, its store and its workers."""

    def __init__(
        self,
        settings: Settings,
        workflows: Mapping[str, Workflow],
        store: ExecutionStore,
        outputs: OutputStore,
        board: Board,
        pool: Pool,
        metrics: Metrics,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.settings = settings
        self.workflows = workflows
        self.store = store
        self.outputs = outputs
        self.board = board
        self.foreign = Foreign.of(settings)
        self.media = Media(store, outputs, settings, self.foreign)
        self._pool = pool
        self.metrics = metrics
        self.telemetry = telemetry
        self._own_bounds = {key.name: key.concurrency for key in settings.keys}
        self.draining = False
        self._leaving: set[asyncio.Task[Execution]] = set()

    @property
    def not_ready(self) -> str:
        """Why nothing can be run now; empty when it can."""
        return "The gateway is stopping." if self.draining else self._pool.not_ready

    def workflow(self, name: str) -> Workflow:
        """Raises Problem ``unknown-workflow``."""
        found = self.workflows.get(name)
        if found is None:
            raise Problem(
                "unknown-workflow", f"No workflow {name!r} is served here.", f"There are: {', '.join(self.workflows)}."
            )
        return found

    async def run(self, name: str, parameters: object, owner: str, terms: Terms) -> tuple[Execution, bool]:
        """Queue an execution; the second value is False when its idempotency key had already made it.

        Files by URL are fetched first: what waits in the queue needs nobody but ComfyUI, and what is wrong with a URL
        is said to who gave it. Before that, a known key is answered: its URLs may have lapsed since.

        Raises:
            Problem: what is wrong with the parameters, the queue, or the gateway.
        """
        if self.draining:
            raise Problem("draining", "The gateway is stopping.", "Try again.", headers={"Retry-After": "5"})
        workflow = self.workflow(name)
        taken = await self.media.take(workflow.contract, workflow.check(parameters), owner)
        new = partial(
            NewExecution,
            workflow=name,
            capsule=workflow.digest,
            owner=owner,
            body_digest=_body_digest(taken, terms.webhook) if terms.idempotency_key else "",
            **terms.model_dump(),
        )
        if by_url := self.media.by_url(workflow.contract, taken):
            if terms.idempotency_key and (earlier := await self.store.earlier(new(parameters={}))):
                return earlier, False
            taken = await self.media.fetch(by_url, taken, owner)
        execution, made = await self._add(new(parameters=workflow.complete(taken)))
        if made:
            if terms.webhook:
                self.board.awaited.add(execution.id)
            if self.settings.log_parameters:
                log.info("parameters %s", canonical_json(taken).decode(), extra={"execution": execution.id})
            if execution.state == "queued":
                log.info("%s queued", name, extra={"execution": execution.id})
                self.board.tell(execution.id, "state", {"state": "queued"})
                self.board.work.ring()
        return execution, made

    async def run_batch(self, name: str, items: Sequence[object], owner: str, terms: Terms) -> tuple[Batch, bool]:
        """Queue an execution for each of `items`, or none; the second value as in `run`.

        Raises:
            Problem: as `run`, with ``item``, the place of the parameters that are wrong; ``batch-size``.
        """
        if self.draining:
            raise Problem("draining", "The gateway is stopping.", "Try again.", headers={"Retry-After": "5"})
        workflow, most = self.workflow(name), self.settings.batch_limit
        if not 0 < len(items) <= most:
            raise Problem("batch-size", f"The batch has {len(items)} items.", f"Give 1 to {most} of them.")
        for number, item in enumerate(items):
            with _of_item(number):
                workflow.check(item)
        taken = []
        for number, item in enumerate(items):
            with _of_item(number):
                taken.append(await self.media.take(workflow.contract, workflow.check(item), owner))
        keyed = bool(terms.idempotency_key)
        digest = sha256_bytes(canonical_json({"items": taken, "": terms.webhook})) if keyed else ""
        new = NewBatch(
            workflow=name, capsule=workflow.digest, owner=owner, items=(), body_digest=digest, **terms.model_dump()
        )
        if keyed and (earlier := await self.store.batches.earlier(new)):
            return earlier, False
        for number, each in enumerate(taken):
            with _of_item(number):
                taken[number] = await self.media.fetch(self.media.by_url(workflow.contract, each), each, owner)
        complete = tuple(workflow.complete(each) for each in taken)
        batch, made = await self.store.batches.add(
            new.model_copy(update={"items": complete}),
            bound=self.settings.queue_bound,
            own_bound=self._own_bounds.get(owner, 0),
        )
        if made:
            log.info("%s queued %d times, batch %s", name, batch.total, batch.id)
            self.board.work.ring()
        return batch, made

    async def find_batch(self, id: str, owner: str | None) -> Batch:
        """Raises Problem ``unknown-batch``, also for one that belongs to another key."""
        batch = await self.store.batches.get(id, owner)
        if batch is None:
            raise Problem("unknown-batch", f"There is no batch {id!r}.")
        return batch

    async def cancel_batch(self, id: str, owner: str | None) -> Batch:
        """Cancel what waits of it, and have what runs stopped; that may still run in the answer.

        Raises:
            Problem: ``unknown-batch``, ``already-finished``.
        """
        if (await self.find_batch(id, owner)).ended:
            raise Problem("already-finished", "Every execution of the batch has already ended.")
        for execution in await self.store.batches.cancel(id):
            if execution.ended:
                self.board.end(execution)
            else:
                self._pool.cancel(execution.prompt_id)
        return await self.find_batch(id, owner)

    async def _add(self, new: NewExecution) -> tuple[Execution, bool]:
        """Into the queue, or straight to a worker with room: the same, one step shorter."""
        worker = self._pool.reserve()
        taken = False
        try:
            execution, made = await self.store.add(
                new,
                bound=self.settings.queue_bound,
                own_bound=self._own_bounds.get(new.owner, 0),
                worker=worker.name if worker else "",
                lease=self.settings.lease,
            )
            if made and self.telemetry is not None:
                self.telemetry.made(execution.id)
            if worker and made and execution.state == "running":
                taken = True
                worker.take(execution)
            return execution, made
        finally:
            if worker and not taken:
                worker.release()

    async def find(self, id: str, owner: str | None) -> Execution:
        """Raises Problem ``unknown-execution``, also for one that belongs to another key."""
        execution = await self.store.get(id, owner)
        if execution is None:
            raise Problem("unknown-execution", f"There is no execution {id!r}.")
        return execution

    async def webhook_of(self, id: str) -> Webhook | None:
        """The delivery of this execution's end; where no webhooks are delivered, nothing is asked."""
        return await self.store.webhooks.get(id) if self.settings.webhook_secrets else None

    async def wait(self, execution: Execution, seconds: float, is_gone: Callable[[], bool] | None = None) -> Execution:
        """The execution once it has ended, or as it is after `seconds`; cancelled when who waits `is_gone`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not execution.ended and (left := end - loop.time()) > 0:
            try:
                ended = await self.board.ended(execution.id, min(left, _LOOK))
            except asyncio.CancelledError:  # as some servers end a request whose client has hung up
                if is_gone is not None:
                    self.abandon(execution)
                raise
            if ended is not None:
                return ended
            execution = await self.store.get(execution.id) or execution
            if is_gone is not None and is_gone():
                return await self._left(execution)
        return execution

    def abandon(self, execution: Execution) -> None:
        """Have it cancelled by and by: whoever asked for it has hung up, and his request may end at once."""
        self._leaving.add(task := asyncio.create_task(self._left(execution)))
        task.add_done_callback(self._leaving.discard)

    async def _left(self, execution: Execution) -> Execution:
        log.info("whoever asked for it has hung up", extra={"execution": execution.id})
        try:
            return await self.cancel(execution.id, None)
        except Problem:  # it has just ended
            return await self.store.get(execution.id) or execution

    async def cancel(self, id: str, owner: str | None) -> Execution:
        """Cancel it and see that it stops; still running in the answer when that takes longer than it may.

        Raises:
            Problem: ``unknown-execution``, ``already-finished``.
        """
        before = await self.find(id, owner)
        now = await self.store.request_cancel(id)
        if now is None or (before.ended and before.state != "cancelled"):
            raise Problem("already-finished", f"The execution has already {before.state}.", state=before.state)
        if now.state == "running":
            self._pool.cancel(now.prompt_id)
            now = await self.wait(now, self.settings.cancel_grace + _KILL)
        if now.ended and now.state != "cancelled":
            raise Problem(
                "already-finished", f"The execution has {now.state} before it could be stopped.", state=now.state
            )
        if now.ended:
            self.board.end(now)
        return now

    async def metrics_text(self) -> bytes:
        """What ``/metrics`` tells."""
        return self.metrics.text(self._pool.workers, waiting=await self.store.waiting())

    async def readiness(self) -> dict[str, Any]:
        """What ``/readyz`` tells.

        Raises:
            Problem: ``not-ready`` when nothing can be run now, or nothing more be queued.
        """
        waiting = await self.store.waiting()
        full = f"{waiting} executions are waiting, the most this gateway takes."
        if reason := self.not_ready or (full if waiting >= self.settings.queue_bound else ""):
            raise Problem("not-ready", reason, headers={"Retry-After": "1"})
        told: dict[str, Any] = {"ready": True, "waiting": waiting, "running": self._pool.busy}
        return told | ({"cold": self._pool.cold} if self._pool.cold else {})


@contextmanager
def _of_item(number: int) -> Iterator[None]:
    """Of a batch: which item a problem is about."""
    try:
        yield
    except Problem as problem:
        problem.extra["item"] = number
        raise


def _body_digest(taken: Mapping[str, Any], webhook: str) -> str:
    """Of what was asked for; of a file by URL that is the URL, not what it gives today."""
    return sha256_bytes(canonical_json({**taken, "": webhook} if webhook else taken))
