"""Runs ``podman build`` and reads what it says of its steps."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, TextIO

from ..command import end, without_credentials
from ..errors import CapsuleError
from ..progress import Progress, Report
from .common import KEPT_LINES, LONGEST_LINE, disk_full, is_full, step_failed

# As buildah's imagebuildah/stage_executor.go writes it, before each step.
_STEP = re.compile(r"(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<step>\d+)/(?P<steps>\d+): (?P<instruction>\S+) ?(?P<rest>.*)")
_MADE = re.compile(r"--> (?:Using cache )?([0-9a-f]{11,64})")
_ERROR = re.compile(r'Error: (?:building at STEP "(?P<step>.*)": )?(?P<why>.*)')
_TICK = 0.25  # seconds
_GRACE = 15.0  # seconds
_PATIENCE = 2.0  # seconds


class _Step(NamedTuple):
    name: str
    instruction: str
    words: list[str]
    said: list[str]  # the end of what it printed


class PodmanStatus:
    """What is known of a build in several goes. Feed it the lines that podman prints; it answers with the progress.

    Args:
        log: takes all of them, a line each, after the step's name.

    Attributes:
        images: names and beginnings of ids of those that its steps began with.
    """

    def __init__(self, log: TextIO | None = None) -> None:
        self._log = log
        self._stages: dict[str, str] = {}
        self._steps: dict[str, _Step] = {}  # the last one of each stage, in the order in which they began
        self._failed: _Step | None = None
        self._error = ""
        self._done, self._total = -1, 0
        self._said: list[str] = []  # the end of what all of them printed
        self.images: set[str] = set()

    def feed(self, line: str) -> Progress | None:
        """Where the build is after `line`; an empty one says that it is where it was. None before the first step."""
        if found := _STEP.fullmatch(line):
            self._begin(found["stage"], int(found["step"]), int(found["steps"]), found["instruction"], found["rest"])
        elif made := _MADE.fullmatch(line):
            self.images.add(made[1])
        elif line.strip():
            self._hear(line)
        step = self._speaker()
        return Progress(phase="build", item=step.name, done=self._done, total=self._total) if step else None

    def _begin(self, stage: str, step: int, steps: int, instruction: str, rest: str) -> None:
        self._done += 1
        if step == 1:  # FROM
            image, _, name = rest.partition(" AS ")
            self._stages[stage] = name or "image"
            self._total += steps
            self.images.add(image)
        name = f"{self._stages.get(stage, 'image')} {step}/{steps}: {instruction}"
        self._steps.pop(stage, None)
        self._steps[stage] = _Step(name, instruction, f"{instruction} {rest}".split(), [])

    def _speaker(self) -> _Step | None:
        """Who prints: one RUN at a time. A stage that copies from another one begins to, and waits for that one."""
        steps = list(self._steps.values())[::-1]
        waiting = steps[0].instruction == "COPY" if steps else False
        return next((step for step in steps if step.instruction == "RUN" and waiting), steps[0] if steps else None)

    def _hear(self, line: str) -> None:
        clean, step = without_credentials(line), self._speaker()
        if found := _ERROR.fullmatch(line):
            self._error = without_credentials(found["why"])
            words = (found["step"] or "").split()
            same = [step for step in self._steps.values() if step.words == words]
            self._failed = same[-1] if same else step
        else:
            for said in (self._said, *([step.said] if step else [])):
                said.append(clean)
                del said[:-KEPT_LINES]
        if self._log is not None:
            self._log.write(f"{step.name if step else ''} | {clean}\n")

    def failure(self) -> CapsuleError:
        """Why it failed: the step, and the end of what that printed.

        Another stage may have begun between that and the news of its failure, and be taken for the one that prints.
        """
        said = "\n".join(self._said)
        if step := self._failed or self._speaker():
            return step_failed(step.name, "\n".join(step.said) or said, self._error)
        if is_full(said + self._error):
            return disk_full("it was met before the first step")
        return CapsuleError("build-failed", f"podman build failed: {self._error or said}", "Look at its log.")


def run_podman_build(argv: Sequence[str], environment: Mapping[str, str], status: PodmanStatus, report: Report) -> None:
    """Run a ``podman build`` to its end, and report a few times a second.

    When `report` raises, or Ctrl-C arrives, the build is ended before the exception goes on.

    Raises:
        CapsuleError: ``build-failed``, ``proof-failed``, ``disk-full``.
    """
    whole = {**os.environ, **environment}
    whole.pop("BUILDAH_ISOLATION", None)  # ``chroot`` has the network of the host, whatever is asked for
    process = subprocess.Popen(
        list(argv),
        env=whole,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C comes to us
    )
    assert process.stdout is not None
    with process.stdout as said:
        lines = _lines(said)
        try:
            for line in lines:
                if progress := status.feed(line):
                    report(progress)
            process.wait()
        except BaseException:
            _cancel(process)
            for line in lines:  # what it began with meanwhile
                if not line:
                    break
                status.feed(line)
            raise
    if process.returncode != 0:
        raise status.failure()


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """The whole lines of `stream` as they come, and an empty one each time nothing has come for a while."""
    begun = b""
    while True:
        if not select.select([stream], [], [], _TICK)[0]:
            yield ""
            continue
        data = os.read(stream.fileno(), 65536)
        *lines, begun = (begun + data).split(b"\n")
        if len(begun) >= LONGEST_LINE or not data:
            lines, begun = [*lines, begun], b""
        yield from (line.decode("utf-8", "replace") for line in lines)
        if not data:
            return


def _cancel(process: subprocess.Popen[bytes]) -> None:
    """End the build. Told to end, podman leaves the step's own processes running, and the container that they are in.

    When these are killed, the step fails, and podman clears up and ends. Where there are none, the step may just begin,
    or copy much: that is waited for, but not for long.
    """
    deadline, patience = time.monotonic() + _GRACE, time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        inside = _inside(process.pid)
        if not inside and time.monotonic() > patience:
            break
        for pid in inside:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TICK / 5)
    end(process, grace=_GRACE)


def _inside(builder: int) -> list[int]:
    """The processes of the step that `builder` runs: below it, in a namespace of their own."""
    below: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            below.setdefault(parent, []).append(int(status.parent.name))
    found, waiting = [], [builder]
    while waiting:
        pid = waiting.pop()
        waiting += below.get(pid, ())
        found.append(pid)
    return [pid for pid in found if _namespace(pid) not in ("", _namespace("self"))]


def _namespace(pid: int | str) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""
