"""Forgetting what is old: executions that have ended, uploads, and the bytes that nothing names any more."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

from .interface import ExecutionStore, OutputStore
from .settings import Settings

log = logging.getLogger(__name__)

_EVERY = 600.0  # seconds between looks
_LOT = 200  # rows removed in one transaction: nobody shall wait for it
_FEW = 10  # of the oldest, looked at together when the state is too large
_YOUNG = 3600.0  # seconds in which bytes are left alone: what names them may be on its way into the store


class Forgotten(NamedTuple):
    """How much was removed."""

    executions: int
    files: int
    bytes: int


class Retention:
    """Keeps a gateway's state within the age and the size that its owner set."""

    def __init__(self, settings: Settings, store: ExecutionStore, outputs: OutputStore) -> None:
        self._settings, self._store, self._outputs = settings, store, outputs

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                gone = await self.sweep(time.time())
            except Exception:
                log.exception("What is old could not be removed; it is tried again")
                continue
            if any(gone):
                log.info("removed %d executions, %d uploads, %d bytes", *gone)

    async def sweep(self, now: float) -> Forgotten:
        """Remove what is too old at the time `now`, then the oldest until the rest is small enough."""
        executions = files = 0
        if keep := self._settings.keep:
            while lot := (await self._store.forget(now - keep, _LOT))[0]:
                executions += lot
            while lot := await self._store.forget_files(now - keep, _LOT):
                files += lot
        removed = await self._bytes(now) if executions or files else 0
        most = self._settings.keep_bytes
        while most and (excess := await self._outputs.size() - most) > 0:
            lots = await self._oldest(excess, now)
            if not any(lots):
                break
            executions, files = executions + lots[0], files + lots[1]
            removed += await self._bytes(now)
        return Forgotten(executions, files, removed)

    async def _oldest(self, excess: int, now: float) -> tuple[int, int]:
        """Forget executions that name `excess` bytes, or, when there are none, some uploads."""
        executions = 0
        while excess > 0:
            lot, named = await self._store.forget(now - _YOUNG, _FEW)
            if not lot:
                break
            executions, excess = executions + lot, excess - named
        return executions, 0 if executions else await self._store.forget_files(now - _YOUNG, _FEW)

    async def _bytes(self, now: float) -> int:
        return await self._outputs.remove_others(await self._store.digests(), now - _YOUNG)
