"""Following one execution, wherever it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .board import Event
from .models import Execution
from .service import Service

_LOOK = 1.0  # seconds between looks into the store, for what another gateway runs


async def watch(service: Service, found: Execution, after: int = 0) -> AsyncIterator[Event | None]:
    """What happens to it after event number `after`, until it has ended; None each second in which nothing does."""
    if found.ended:
        return
    async for event in service.board.events(found.id, after, poll=_LOOK):
        if event is not None:
            if event.name != "end":
                yield event
            continue
        now = await service.store.get(found.id)
        if now is None or now.ended:  # another gateway ran it
            return
        yield None
