"""Several slow readings at once, each in a thread; progress and cancellation stay in the thread that asked for them."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .errors import Cancelled
from .progress import Progress, Report

_T = TypeVar("_T")
_TICK = 0.1  # seconds without news after which the last event is told again, so that a cancellation is heard
_GRACE = 0.3  # seconds for the others to stop; one that waits for a program stops when that ends, and nobody waits


class Together:
    """Readings that run at once: `start` each, then `wait`; their answers are in what `start` gave.

    Each gets a `Report` of its own, which raises Cancelled when the answer is no longer wanted: because another
    reading failed, or because the caller's report raised. Events reach the caller's report one at a time, in the
    thread that waits, and at least every tenth of a second, whatever the readings do.

    Args:
        at_once: how many may run at a time; the others wait for their turn.
        apart: seconds between the starts of two, unless the one before has ended. Readings that find everything in
            their caches then run one after another: at once they only take Python's lock from each other.
    """

    def __init__(self, report: Report, at_once: int = 64, apart: float = 0.0) -> None:
        self._report = report
        self._apart = apart
        self._before: tuple[threading.Event, threading.Event] | None = None  # whether the last has begun, has ended
        self._turns = threading.Semaphore(at_once)
        self._events: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._broken = threading.Event()
        self._parts: list[tuple[threading.Thread, Future[object]]] = []

    def start(self, work: Callable[[Report], _T]) -> Future[_T]:
        """Run ``work(report)`` in a thread; the answer is there after `wait`."""
        answer: Future[_T] = Future()
        before, (begun, ended) = self._before, (threading.Event(), threading.Event())
        self._before = begun, ended

        def run() -> None:
            try:
                if before and self._apart:
                    before[0].wait()
                    before[1].wait(self._apart)
                begun.set()
                with self._turns:
                    if self._stop.is_set():
                        raise Cancelled
                    answer.set_result(work(self._tell))
            except BaseException as error:  # noqa: BLE001 - the end of the thread: `wait` raises it
                answer.set_exception(error)
                self._broken.set()
            ended.set()
            self._events.put(None)

        thread = threading.Thread(target=run, name=f"together-{len(self._parts)}", daemon=True)
        self._parts.append((thread, answer))  # type: ignore[arg-type]  # only asked whether it is done, and its error
        thread.start()
        return answer

    def wait(self) -> None:
        """Until all are done. Raises what the caller's report raises, or the error of the first that failed."""
        try:
            self._pass_on()
        finally:
            self._stop.set()
            end = time.monotonic() + _GRACE
            for thread, _ in self._parts:
                thread.join(max(0.0, end - time.monotonic()))
        self._raise_error()

    def _pass_on(self) -> None:
        last: Progress | None = None
        running = len(self._parts)
        while running:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=_TICK)
                if event is None:
                    running -= 1
                    if self._broken.is_set():
                        return
                    continue
                last = event
            if last is not None:
                self._report(last)

    def _raise_error(self) -> None:
        errors = [error for _, answer in self._parts if answer.done() and (error := answer.exception())]
        if errors:  # those that were only told to stop come last
            raise min(errors, key=lambda error: isinstance(error, Cancelled))

    def _tell(self, event: Progress) -> None:
        if self._stop.is_set():
            raise Cancelled
        self._events.put(event)
