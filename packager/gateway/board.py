"""News of executions inside this process: who waits for one is woken, who watches one sees its progress."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .models import Execution

_KEPT_EVENTS = 256  # of one execution, for who comes back with Last-Event-ID
_KEPT_ENDED = 256  # executions whose events stay readable after their end


@dataclass(frozen=True)
class Event:
    """One thing that happened: `name` is ``state``, ``progress``, ``preview`` or ``end``; `number` counts from 1."""

    number: int
    name: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Preview:
    """A picture of what a node has so far: its media type and its bytes."""

    type: str
    data: bytes


@dataclass
class _Topic:
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))
    last: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    preview: Preview | None = None
    result: Execution | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Bell:
    """Wakes everybody who listens; none can take it from another."""

    def __init__(self) -> None:
        self._ears: list[asyncio.Event] = []

    def ear(self) -> asyncio.Event:
        """Set at each ring; to be cleared by who listens."""
        self._ears.append(ear := asyncio.Event())
        return ear

    def ring(self) -> None:
        for ear in self._ears:
            ear.set()


class Board:
    """What is told here is only news; the truth is in the store."""

    def __init__(self, ended: Sequence[Callable[[Execution], None]] = ()) -> None:
        """`ended` hear of each execution once, when it has ended here."""
        self._tell_ended = ended
        self._topics: dict[str, _Topic] = {}
        self._ended: deque[str] = deque()
        self.work = Bell()  # rings when something was queued
        self.awaited: set[str] = set()  # executions whose end is to be told outside
        self.deliver = asyncio.Event()  # set when one of them has ended

    def _topic(self, id: str) -> _Topic:
        topic = self._topics.get(id)
        if topic is None:
            topic = self._topics[id] = _Topic()
        return topic

    def end(self, execution: Execution) -> None:
        """The last event: the execution as it ended."""
        topic = self._topic(execution.id)
        if topic.result is None:
            self._ended.append(execution.id)
            for tell in self._tell_ended:
                tell(execution)
        topic.result, topic.preview = execution, None
        self.tell(execution.id, "end", {"state": execution.state})
        if execution.id in self.awaited:
            self.awaited.remove(execution.id)
            self.deliver.set()
        while len(self._ended) > _KEPT_ENDED:
            del self._topics[self._ended.popleft()]

    def tell(self, id: str, name: str, data: dict[str, Any]) -> None:
        """Add an event."""
        topic = self._topic(id)
        topic.last += 1
        topic.events.append(Event(topic.last, name, data))
        if name == "progress":
            topic.progress = data
        topic.changed.set()
        topic.changed = asyncio.Event()

    def show(self, id: str, preview: Preview, data: dict[str, Any]) -> None:
        """Keep the latest preview, and tell that there is one."""
        self._topic(id).preview = preview
        self.tell(id, "preview", data)

    def preview(self, id: str) -> Preview | None:
        """The latest preview of what runs."""
        topic = self._topics.get(id)
        return topic.preview if topic else None

    def progress(self, id: str) -> dict[str, Any]:
        """The latest progress; empty when there is none."""
        topic = self._topics.get(id)
        return topic.progress if topic else {}

    async def ended(self, id: str, timeout: float) -> Execution | None:
        """The execution once it has ended here; None after `timeout` seconds."""
        topic = self._topic(id)
        try:
            async with asyncio.timeout(timeout):
                while topic.result is None:
                    await topic.changed.wait()
        except TimeoutError:
            return None
        return topic.result

    async def events(self, id: str, after: int, poll: float) -> AsyncIterator[Event | None]:
        """The events after number `after`, to the end; None each `poll` seconds without one."""
        topic = self._topic(id)
        while True:
            changed = topic.changed
            for event in [event for event in topic.events if event.number > after]:
                after = event.number
                yield event
            if topic.result:
                return
            try:
                async with asyncio.timeout(poll):
                    await changed.wait()
            except TimeoutError:
                yield None
