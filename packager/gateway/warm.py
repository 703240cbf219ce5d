"""Warming up: each workflow is run once, as small as it goes, before a ComfyUI of ours is called ready."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection

from ..comfy import GraphRefused
from .exchange import Exchange
from .interface import ExecutionStore, OutputStore
from .settings import Settings
from .supervise import Backend
from .verdict import judge, refusal
from .workflow import Workflow

log = logging.getLogger(__name__)

_POLL = 0.05  # seconds


class WarmUp:
    """Of one ComfyUI, in each of its lives; somebody else's is left alone.

    What it saves stays in the ComfyUI's own folder: a run that asks for the same is answered from ComfyUI's cache,
    which names these files.

    Attributes:
        cold: why a workflow did not take it well, by name; such a one is not tried again.
        doing: a sentence while it goes on, else empty.
    """

    def __init__(
        self,
        workflows: Collection[Workflow],
        backend: Backend,
        exchange: Exchange,
        store: ExecutionStore,
        outputs: OutputStore,
        settings: Settings,
    ) -> None:
        self._workflows = workflows if settings.warm_up and backend.own else ()
        self._backend, self._exchange, self._store, self._outputs = backend, exchange, store, outputs
        self._seconds = settings.boot
        self._warm = 0  # the life that was warmed up
        self.cold: dict[str, str] = {}
        self.doing = ""

    async def run(self) -> None:
        """Raises CapsuleError ``comfyui-unreachable`` when ComfyUI died of it."""
        if self._warm == self._backend.generation:
            return
        self.doing = "ComfyUI is being warmed up."
        try:
            for workflow in self._workflows:
                if workflow.name not in self.cold:
                    self.cold[workflow.name] = "ComfyUI died of it."  # unless it comes back
                    if reason := await self._run(workflow):
                        self.cold[workflow.name] = reason
                        log.warning("The workflow %r could not be warmed up: %s", workflow.name, reason)
                    else:
                        del self.cold[workflow.name]
        finally:
            self.doing = ""
        self._warm = self._backend.generation

    async def _run(self, workflow: Workflow) -> str:
        """Run it, so that its models are loaded and its code has run; why it did not end well, or an empty text."""
        prepared = await workflow.prepare(workflow.smallest(), self._store, self._outputs)
        await self._exchange.upload(prepared.files)
        client, prompt = self._backend.client, str(uuid.uuid4())
        try:
            await client.submit(prepared.graph, prompt_id=prompt)
            async with asyncio.timeout(self._seconds):
                while (entry := await client.history(prompt)) is None:
                    await asyncio.sleep(_POLL)
        except GraphRefused as refused:
            return refusal(refused, prepared.graph).message
        except TimeoutError:
            await client.delete_queued(prompt)
            await client.interrupt(prompt)
            return f"It did not end within {self._seconds:.0f} s."
        verdict = judge(entry, prepared.graph)
        return verdict.problem.message if verdict.problem is not None else ""
