"""A worker: takes executions from the store and has one ComfyUI run them, a few prompts ahead."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any

from ..comfy import Event
from ..errors import CapsuleError
from .board import Board
from .exchange import Exchange
from .interface import ExecutionStore, OutputStore
from .lanes import Lanes
from .log import EXECUTION
from .models import Execution, Item, State
from .outputs import Collector
from .problems import Problem
from .run import Run, Stalled, Vanished
from .secrets import NO_SECRETS, Secrets
from .settings import Settings
from .supervise import Backend
from .verdict import judge
from .warm import WarmUp
from .wear import Wear
from .workflow import Workflow

log = logging.getLogger(__name__)

_RECONNECT = 0.2
_IDLE = 1.0  # seconds between looks for work that another gateway queued
_LASTING = 0.2  # seconds
_MOST_ATTEMPTS = 2


class Worker:
    """One ComfyUI's worker. `run` it for ever; `drain`, then cancel `run`."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        workflows: Mapping[str, Workflow],
        store: ExecutionStore,
        outputs: OutputStore,
        board: Board,
        settings: Settings,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.name = name
        self.backend = backend
        self._workflows = workflows
        self._store = store
        self._outputs = outputs
        self._board = board
        self._settings = settings
        self._secrets = secrets
        self._client_id = uuid.uuid4().hex
        self._runs: dict[str, Run] = {}  # by prompt id
        self._checked = -1  # the backend's generation whose node classes were checked
        self._exchange = Exchange(backend, outputs, secrets)
        self.warmth = WarmUp(workflows.values(), backend, self._exchange, store, outputs, settings)
        self._wrong = ""
        self._connected = asyncio.Event()
        self._draining = False
        self._lanes = Lanes(settings.lanes)
        self._more = True  # whether the queue may hold something that nobody will announce
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = board.work.ear()
        self._wear = Wear(backend, settings)
        self.beside: tuple[Worker, ...] = ()  # the other workers of this gateway

    @property
    def not_ready(self) -> str:
        """Why it cannot run anything now, in one sentence; empty when it can."""
        if self._connected.is_set():
            return ""
        return self._wrong or self.warmth.doing or self.backend.reason or "The connection to ComfyUI is being made."

    @property
    def busy(self) -> int:
        """How many executions it holds."""
        return len(self._runs)

    @property
    def idle(self) -> bool:
        """Whether what it is given would run at once."""
        return self._connected.is_set() and not self._draining and self._lanes.idle

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._run()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.backend.run())
            tasks.create_task(self._listen())
            tasks.create_task(self._keep())
            while not await self._adopt(own=True):
                await asyncio.sleep(_IDLE)
            tasks.create_task(self._dispatch())

    def drain(self) -> None:
        """Take no more work."""
        self._draining = True
        self._board.work.ring()

    def cancel(self, prompt_id: str) -> None:
        """Stop the run with this prompt id, if it is here."""
        if (run := self._runs.get(prompt_id)) is not None:
            run.cancel()

    def reserve(self) -> bool:
        """Room for one execution right now; give it back with `take` or `release`."""
        if self._draining or not self._connected.is_set() or not self._lanes.free or self._wear.out:
            return False
        if not self.idle and any(each.idle for each in self.beside):
            return False  # it would wait here, and run at once there
        self._lanes.take()
        return True

    def release(self) -> None:
        """The room that was reserved is not needed."""
        self._lanes.give_back()
        if self._more:
            self._board.work.ring()

    def take(self, execution: Execution, *, adopted: bool = False) -> None:
        """Run an execution that was claimed for this worker, in the room that was reserved."""
        task = asyncio.create_task(self._work(execution, adopted=adopted))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wear.ran()
        if self._wear.out and not self._runs and not self._draining:
            self._begin(self._replace(f"ComfyUI has run {self._settings.recycle_after} executions"))
        self.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("The store failed; the execution is taken up again later", exc_info=task.exception())

    async def _dispatch(self) -> None:
        """Claim whenever there is room."""
        while True:
            self._wake.clear()
            if self.reserve():
                try:
                    execution = await self._store.claim(self.name, list(self._workflows), self._settings.lease)
                except Problem as problem:
                    log.error("%s", problem)
                    self._lanes.give_back()
                    await asyncio.sleep(_IDLE)
                    continue
                self._more = execution is not None
                if execution is not None:
                    self.take(execution)
                    self._board.work.ring()  # those beside may take more now than before
                    continue
                self._lanes.give_back()
            else:
                self._more = True  # perhaps: look once there is room
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE):
                    await self._wake.wait()

    async def _listen(self) -> None:
        """Hold the socket; whenever it comes or goes, every run looks at queue and history."""
        while True:
            await self.backend.up.wait()
            try:
                async with self.backend.client.websocket(self._client_id) as events:
                    await self._check()
                    await self.warmth.run()
                    self._connected.set()
                    self._board.work.ring()
                    self._look()
                    async for event in events:
                        self._hear(event)
            except CapsuleError as error:
                self._wrong = str(error)
                log.warning("The connection to ComfyUI failed: %s", error)
            self._connected.clear()
            self.backend.lost()
            for run in self._runs.values():
                run.cut()
            await asyncio.sleep(_RECONNECT if not self._wrong else _IDLE)

    async def _check(self) -> None:
        """Every node class of the graphs must be there, and is met; once for each life of ComfyUI."""
        if self._checked == self.backend.generation:
            return
        there = await self.backend.client.object_info()
        for workflow in self._workflows.values():
            lacking = sorted({node["class_type"] for node in workflow.graph.values()} - set(there))
            if lacking:
                raise CapsuleError(
                    "classes-missing",
                    f"This ComfyUI lacks node classes of the workflow {workflow.name!r}: {', '.join(lacking)}.",
                    "Install the packs that give them, or restore the capsule and serve it with that ComfyUI.",
                )
            workflow.meet(there)
        self._exchange.restarted()
        self._wear.fresh()
        self._wrong = ""
        self._checked = self.backend.generation

    def _hear(self, event: Event) -> None:
        run = self._runs.get(str(event.data.get("prompt_id", "")))
        if run is not None:
            run.event(event)

    def _look(self) -> None:
        for run in self._runs.values():
            run.look()

    async def _keep(self) -> None:
        """Renew the leases, hear of cancels asked elsewhere, and take over what others left."""
        while True:
            await asyncio.sleep(self._settings.lease / 3)
            if (overload := self._wear.overload()) is not None:
                for run in self._runs.values():
                    run.fail(overload)
                await self._replace("ComfyUI held more memory than it may")
            elif not self._runs and (sickness := await self._wear.sickness()):
                await self._replace(sickness)
            runs = {run.execution.id: run for run in self._runs.values()}
            tokens = {id: run.execution.token for id, run in runs.items()}
            try:
                kept = await self._store.renew(tokens, self._settings.lease)
            except Problem as problem:
                log.error("%s", problem)
                continue
            for id, run in runs.items():
                if kept.get(id):
                    run.cancel()
            await self._adopt(own=False)

    async def _adopt(self, *, own: bool) -> bool:
        """Take over what nobody keeps; False when the store cannot be asked now."""
        try:
            left = await self._store.adopt(self.name, self._settings.lease, own=own)
        except Problem as problem:
            log.error("%s", problem)
            return False
        for execution in left:
            self._lanes.take()
            self.take(execution, adopted=True)
        return True

    async def _work(self, execution: Execution, *, adopted: bool = False) -> None:
        """Run it to its end and write that down; nothing that happens to it stops the worker."""
        EXECUTION.set(execution.id)
        self._board.tell(execution.id, "state", {"state": "running"})
        try:
            state, outputs, problem = await self._attempt(execution, adopted)
        except Vanished:
            await self._vanished(execution, adopted)
            return
        except Problem as told:
            state, outputs, problem = "failed", {}, told
        except CapsuleError as error:
            state, outputs, problem = "failed", {}, Problem("comfyui-failed", error.message, error.cure)
        except Exception:
            log.exception("The gateway failed")
            state, outputs, problem = "failed", {}, Problem("internal", "The gateway failed while it ran this.")
        await self._finish(execution, state, outputs, problem)

    async def _attempt(
        self, execution: Execution, adopted: bool
    ) -> tuple[State, dict[str, list[Item]], Problem | None]:
        workflow = self._workflows.get(execution.workflow)
        if workflow is None or workflow.digest != execution.capsule:
            raise Problem(
                "workflow-changed", "Another capsule is served by this name since it was queued.", "Run it again."
            )
        prepared = await workflow.prepare(execution.parameters, self._store, self._outputs)
        collector = Collector(workflow.contract, self._exchange.fetch)
        run = Run(
            execution,
            prepared.graph,
            self.backend,
            self._board,
            collector,
            grace=self._settings.cancel_grace,
            stall=self._settings.stall,
        )
        self._runs[execution.prompt_id] = run
        noted: asyncio.Task[None] | None = None
        outputs: Mapping[str, Any] = run.told
        try:
            async with asyncio.timeout(self._settings.deadline):
                if not adopted:
                    await self._exchange.upload(prepared.files)
                    editor = prepared.editor if self._settings.embed_workflow else None
                    if await run.submit(self._client_id, editor, listening=self._connected.is_set()):
                        noted = asyncio.create_task(self._mark_submitted(execution))
                else:
                    await self._connected.wait()
                    run.look()
                try:
                    entry = await run.follow()
                except Vanished:
                    if run.cancelling:
                        return "cancelled", {}, Problem("cancelled", "The execution was cancelled.")
                    raise
                outputs = entry.get("outputs") or {}
                verdict = judge(entry, run.graph)
                if verdict.problem is not None and verdict.problem.code == "gpu-failed":
                    await self._leave(execution)
                if verdict.state != "succeeded":
                    return verdict.state, {}, verdict.problem
                return "succeeded", await collector.collect(entry), None
        except TimeoutError:
            self._begin(run.abandon())
            seconds = self._settings.deadline
            raise Problem("deadline-exceeded", f"The execution was stopped after {seconds:.0f} s.") from None
        except Stalled:
            self._begin(run.abandon())
            seconds = self._settings.stall
            raise Problem("stalled", f"It was stopped: nothing was heard of it for {seconds:.0f} s.") from None
        finally:
            if noted is not None:
                noted.cancel()
            collector.drop()
            del self._runs[execution.prompt_id]
            self._exchange.ended(outputs)

    async def _leave(self, execution: Execution) -> None:
        """Have a ComfyUI that lost its GPU replaced; the execution is run once more by the next one."""
        if await self.backend.replace("ComfyUI lost its GPU") and execution.attempts < _MOST_ATTEMPTS:
            raise Vanished

    async def _replace(self, reason: str) -> None:
        self._connected.clear()  # nothing goes to it any more
        await self.backend.replace(reason)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _vanished(self, execution: Execution, adopted: bool) -> None:
        """ComfyUI knows nothing of it: run it once more if a death explains that, else it is lost."""
        now = await self._store.get(execution.id)
        if adopted and not self.backend.own and now is not None and now.submitted:
            problem = Problem(
                "lost", "ComfyUI accepted it from an earlier gateway, and knows nothing of it now.", "Run it again."
            )
            await self._finish(execution, "lost", {}, problem)
        elif execution.attempts < _MOST_ATTEMPTS:
            log.warning("ComfyUI died while it ran this; once more")
            if await self._store.requeue(execution.id, execution.token):
                self._board.tell(execution.id, "state", {"state": "queued"})
                self._board.work.ring()
        else:
            problem = Problem(
                "worker-died",
                f"ComfyUI died {execution.attempts} times while it ran this.",
                "Look into the gateway's log for its last words; lack of memory is the usual reason.",
            )
            await self._finish(execution, "failed", {}, problem)

    async def _finish(
        self, execution: Execution, state: State, outputs: dict[str, list[Item]], problem: Problem | None
    ) -> None:
        told = self._secrets.shown_all(problem.document()) if problem else None
        outputs = {name: [self._tellable(item) for item in items] for name, items in outputs.items()}
        now = time.time()
        if not await self._store.finish(execution.id, execution.token, state, now, outputs=outputs, problem=told):
            log.warning("Another worker has taken this over; its result counts.")
            return
        changes = {"state": state, "finished": now, "outputs": outputs, "problem": told}
        self._board.end(execution.model_copy(update=changes))
        await asyncio.sleep(0)  # whoever waits for it goes first
        self._outputs.expect()
        seconds = now - execution.started
        self._lanes.ran(seconds)
        log.info("%s %s after %.3f s, attempt %d", execution.workflow, state, seconds, execution.attempts)

    def _tellable(self, item: Item) -> Item:
        """A value that a node shows may be what it was given."""
        return item.model_copy(update={"value": self._secrets.shown_all(item.value)}) if self._secrets else item

    async def _mark_submitted(self, execution: Execution) -> None:
        """Only of a run that lasts: one that has ended needs no such note."""
        await asyncio.sleep(_LASTING)
        await self._store.mark_submitted(execution.id, execution.token)
