"""The workers of one gateway, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .worker import Worker


class Pool:
    """Work goes to a worker that runs nothing before it goes ahead of what another one runs."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)
        for worker in self.workers:
            worker.beside = tuple(each for each in self.workers if each is not worker)

    @property
    def not_ready(self) -> str:
        """Why none of them can run anything now; empty when one can."""
        reasons = [worker.not_ready for worker in self.workers]
        return reasons[0] if all(reasons) else ""

    @property
    def busy(self) -> int:
        """How many executions they hold."""
        return sum(worker.busy for worker in self.workers)

    @property
    def cold(self) -> dict[str, str]:
        """Why workflows could not be warmed up, by name."""
        return {name: reason for worker in self.workers for name, reason in worker.warmth.cold.items()}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for worker in self.workers:
                tasks.create_task(worker.run())

    def drain(self) -> None:
        """Take no more work."""
        for worker in self.workers:
            worker.drain()

    def cancel(self, prompt_id: str) -> None:
        """Stop the run with this prompt id, if it is here."""
        for worker in self.workers:
            worker.cancel(prompt_id)

    def reserve(self) -> Worker | None:
        """A worker with room, which is reserved, or none: give it back with the worker's `take` or `release`."""
        return next((worker for worker in self.workers if worker.reserve()), None)
