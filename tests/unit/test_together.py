"""Readings at once: their answers, one error, and a cancellation that does not wait for any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.progress import Progress, Report, silent
from comfy_capsule.packager.together import Together


def test_they_run_at_once_and_report_in_the_thread_that_waits() -> None:
    meet = threading.Barrier(2, timeout=5)
    told: list[tuple[str, int]] = []

    def part(name: str, report: Report) -> str:
        report(Progress(phase=name))
        meet.wait()
        return name

    work = Together(lambda event: told.append((event.phase, threading.get_ident())))
    one, two = work.start(lambda report: part("one", report)), work.start(lambda report: part("two", report))
    work.wait()
    assert (one.result(), two.result()) == ("one", "two")
    assert set(told) == {("one", threading.get_ident()), ("two", threading.get_ident())}


def test_a_cancellation_is_heard_while_no_reading_says_anything() -> None:
    stop, asked = threading.Event(), []

    def stuck(report: Report) -> None:
        report(Progress(phase="python"))
        stop.wait(20)  # as one that waits for a slow program

    def cancelled(_: Progress) -> None:
        if time.monotonic() - begun > 0.2:
            asked.append(time.monotonic())
            raise Cancelled

    begun = time.monotonic()
    work = Together(cancelled)
    work.start(stuck)
    with pytest.raises(Cancelled):
        work.wait()
    ended = time.monotonic()
    stop.set()
    assert ended - begun < 0.2 + 0.5
    assert ended - asked[0] < 0.5


def test_when_one_fails_the_others_stop_and_its_error_is_the_answer() -> None:
    ended = threading.Event()

    def goes_on(report: Report) -> None:
        try:
            while True:
                report(Progress(phase="models"))
                time.sleep(0.01)
        finally:
            ended.set()

    def fails(report: Report) -> None:
        raise CapsuleError("no-program", "git is not there.")

    work = Together(silent)
    work.start(goes_on)
    work.start(fails)
    with pytest.raises(CapsuleError, match="git is not there"):
        work.wait()
    assert ended.is_set()


def test_short_readings_go_one_after_another_and_nobody_waits_long_for_a_slow_one() -> None:
    seen: list[str] = []
    release = threading.Event()

    def reading(name: str, wait: bool = False) -> Callable[[Report], None]:
        def work(_: Report) -> None:
            seen.append(f"{name} begins")
            if wait:
                assert release.wait(5)
            seen.append(f"{name} ends")

        return work

    work = Together(silent, apart=0.2)
    for name in ("one", "two"):
        work.start(reading(name))
    work.start(reading("slow", wait=True))
    last = work.start(lambda _: release.set())
    work.wait()
    assert last.done()
    assert seen == ["one begins", "one ends", "two begins", "two ends", "slow begins", "slow ends"]
