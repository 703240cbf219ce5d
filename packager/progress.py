"""One way to report progress: every slow step calls one callback with `Progress` events.

The command draws bars from them, the routes forward them to the browser, tests read them.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict


class Progress(BaseModel):
    """One event. `done` and `total` count items, or bytes when `unit` is ``bytes``; `total` 0 means unknown."""

    model_config = ConfigDict(frozen=True)

    phase: str
    item: str = ""
    done: int = 0
    total: int = 0
    unit: str = "items"


Report = Callable[[Progress], None]

#: Called for every file of many, by what does not know of how many; it may raise to stop the work.
Tick = Callable[[], None]


def silent(_: Progress) -> None:
    """A `Report` that nobody listens to."""


def unheard() -> None:
    """A `Tick` that nobody listens to."""
