"""One execution on one ComfyUI: submitted under our prompt id, followed to its end in queue and history."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from ..capsule import ApiGraph
from ..comfy import ComfyClient, Event, GraphRefused
from ..errors import CapsuleError
from .board import Board, Preview
from .models import Execution
from .outputs import Collector
from .problems import Problem
from .supervise import Backend
from .verdict import LAST, node_words, progress_of, refusal

log = logging.getLogger(__name__)

_POLL = 2.0  # seconds between looks at queue and history while the socket is silent
_ENDED_POLL = 0.05  # once an event said that it ended
_CANCEL_AGAIN = 1.0
_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})


class Vanished(Exception):
    """ComfyUI knows nothing of the prompt any more: it died, or never got it."""


class Stalled(Exception):
    """ComfyUI runs the prompt, and has said nothing of it for too long."""


class Run:
    """Follows one prompt.

    ComfyUI's queue and history are believed. The socket is, too, for a success that it told without a gap: it says
    the same (execution.py sends what it stores), and says it sooner than the history can be asked.
    """

    def __init__(
        self,
        execution: Execution,
        graph: ApiGraph,
        backend: Backend,
        board: Board,
        collector: Collector,
        *,
        grace: float,
        stall: float = 0,
    ) -> None:
        """`grace`: seconds in which ComfyUI may obey a cancel; `stall`: seconds that it may be silent while it runs
        the prompt, 0 for any number."""
        self.execution = execution
        self.graph = graph
        self.collector = collector
        self.cancelling = execution.cancel_requested
        self.ignored_cancel = False
        self._backend = backend
        self._board = board
        self._grace = grace
        self._stall = stall
        self._heard = 0.0  # when the socket last told of it; 0 while that is not known
        self._wake = asyncio.Event()
        self._over = False
        self._whole = False  # the socket was there since before the prompt: it told everything
        self.told: dict[str, Any] = {}  # the outputs of nodes, as far as the socket has told
        self._shown: dict[str, Any] = {}
        self._success = False
        self._failed: Problem | None = None

    def event(self, event: Event) -> None:
        """Something came over the socket about this prompt."""
        self._heard = asyncio.get_running_loop().time()
        if event.kind == "preview":
            self._preview(event)
        elif event.kind == "executed":
            self._executed(event.data)
        elif event.kind == "execution_success":
            self._success = True
            self._wake.set()
        elif event.kind in LAST or (event.kind == "executing" and event.data.get("node") is None):
            self._over = True
            self._wake.set()
        elif (progress := progress_of(event, self.graph)) is not None:
            before = self._board.progress(self.execution.id)
            if progress != before:
                self._board.tell(self.execution.id, "progress", {**before, **progress})

    def _executed(self, data: Mapping[str, Any]) -> None:
        node, display, output = str(data.get("node")), str(data.get("display_node")), data.get("output")
        if output is not None:
            self.told[node], self._shown[node] = output, {"display_node": display}
        for wanted in {node, display}:
            self.collector.executed(wanted, output)

    def _preview(self, event: Event) -> None:
        type = str(event.data.get("content_type"))
        if self.execution.previews and type in _PICTURES:  # what comes without being asked for is not sent on
            node = str(event.data.get("display_node_id") or event.data.get("node_id", ""))
            told = {"type": type, "node": node_words(node, self.graph)}
            self._board.show(self.execution.id, Preview(type, event.payload), told)

    def fail(self, problem: Problem) -> None:
        """End it with `problem`, whatever becomes of the prompt."""
        self._failed = problem
        self._wake.set()

    def cut(self) -> None:
        """The socket was cut: only queue and history can tell now."""
        self._whole = False
        self._heard = 0.0
        self._wake.set()

    def look(self) -> None:
        """Look at queue and history now: the socket is back."""
        self._wake.set()

    def cancel(self) -> None:
        """Ask ComfyUI to stop it, again and again until it has."""
        self.cancelling = True
        self._wake.set()

    async def submit(self, client_id: str, editor: Mapping[str, Any] | None = None, *, listening: bool) -> bool:
        """Hand the graph to ComfyUI; False when the answer was lost, and only queue and history can tell.

        Args:
            editor: the editor graph that is saved with pictures, as ComfyUI's own front-end hands it over.
            listening: whether the socket of `client_id` is open now.

        Raises:
            Problem: ``graph-refused``.
        """
        self._whole = listening
        try:
            extra: dict[str, Any] = {"extra_pnginfo": {"workflow": editor}} if editor is not None else {}
            if self.execution.previews:
                extra["preview_method"] = "auto"  # execution.py, 0.30.0; for this prompt only
            await self._client().submit(
                self.graph, prompt_id=self.execution.prompt_id, client_id=client_id, extra_data=extra
            )
        except GraphRefused as refused:
            raise refusal(refused, self.graph) from refused
        except CapsuleError as error:
            if error.code == "comfyui-error":
                raise Problem("comfyui-failed", error.message) from error
            log.warning("The answer to the submission was lost: %s", error)
            return False
        return True

    async def follow(self) -> Mapping[str, Any]:
        """The history entry, once it is there.

        Raises:
            Problem: what `fail` was given.
            Vanished: it is neither in the queue nor in the history.
            Stalled: it runs, and nothing has been heard of it for too long.
        """
        loop = asyncio.get_running_loop()
        cancel_began = 0.0
        while True:
            await self._pause()
            if self._failed is not None:
                raise self._failed
            silent = loop.time() - self._heard if self._heard and not self.cancelling else 0
            if self._stall and silent > self._stall:
                raise Stalled
            if self._success and self._whole:  # nothing is left to ask
                return {"status": {"status_str": "success"}, "outputs": self.told, "meta": self._shown}
            try:
                if self.cancelling:
                    cancel_began = cancel_began or loop.time()
                    await self._stop()
                    if loop.time() - cancel_began > self._grace and not self.ignored_cancel:
                        self.ignored_cancel = True
                        if await self._backend.replace(f"ComfyUI ignored a cancel for {self._grace:.0f} s"):
                            raise Vanished  # with its process
                entry = await self._entry()
            except CapsuleError as error:
                if error.code not in ("comfyui-unreachable", "comfyui-error"):
                    raise
                self._backend.lost()
                await asyncio.sleep(_ENDED_POLL * 4)
                await self._backend.up.wait()
                continue
            if entry is not None:
                return entry

    async def _pause(self) -> None:
        seconds = _POLL
        if self._over:
            seconds = _ENDED_POLL
        elif self.cancelling:
            seconds = _CANCEL_AGAIN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _entry(self) -> Mapping[str, Any] | None:
        id = self.execution.prompt_id
        client = self._client()
        if (entry := await client.history(id)) is not None:
            return entry
        queue = await client.queue()
        if id in queue.running or id in queue.pending:
            return None
        if (entry := await client.history(id)) is not None:  # it ended between the two questions
            return entry
        raise Vanished

    async def _stop(self) -> None:
        await self._client().delete_queued(self.execution.prompt_id)
        await self._client().interrupt(self.execution.prompt_id)

    async def abandon(self) -> None:
        """Take it from ComfyUI, for a run that is given up; one that does not let go of it is replaced."""
        self.collector.drop()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._grace
        while loop.time() < end:
            try:
                await self._stop()
                await asyncio.sleep(_ENDED_POLL)
                if await self._entry() is not None:
                    return
            except (CapsuleError, Vanished):
                return
            await asyncio.sleep(min(_CANCEL_AGAIN, self._grace / 4))
        await self._backend.replace("ComfyUI did not let go of a run that was given up")

    def _client(self) -> ComfyClient:
        return self._backend.client
