"""Runs ``docker buildx build`` and reads what BuildKit says of its steps (`--progress=rawjson`)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from ..command import end, without_credentials
from ..errors import CapsuleError
from ..progress import Progress, Report
from .common import KEPT_LINES, LONGEST_LINE, disk_full, is_full, step_failed

_PHASE = "build"


class BuildStatus:
    """What is known of a running build. Feed it BuildKit's objects; it answers with the progress they are.

    The objects are BuildKit's ``SolveStatus`` (moby/buildkit client/graph.go): ``vertexes`` are steps, each told
    several times as it starts and completes, ``statuses`` the bytes that a step moves, ``logs`` what it prints, in
    base64.

    Args:
        log: takes all that the steps print, a line each, after the step's name.
    """

    def __init__(self, log: TextIO | None = None) -> None:
        self._log = log
        self._names: dict[str, str] = {}
        self._done: set[str] = set()
        self._logs: dict[str, list[str]] = {}
        self._begun: dict[str, bytes] = {}  # lines whose end has not come yet
        self.failed = ""
        self.error = ""

    def feed(self, said: Mapping[str, Any]) -> Iterator[Progress]:
        """The progress in one status object."""
        for step in said.get("vertexes") or ():
            digest, name = step["digest"], step.get("name", "")
            if name.startswith("[internal]"):
                continue
            news = digest not in self._names
            self._names[digest] = name
            if step.get("error") and not self.failed:
                self.failed, self.error = digest, step["error"]
            if step.get("completed") and digest not in self._done:
                self._done.add(digest)
                news = True
            if news or (step.get("started") and not step.get("completed")):
                yield self._progress(name)
        for moved in said.get("statuses") or ():
            if moved.get("total") and not moved.get("completed"):
                item = f"{short_step(self._names.get(moved['vertex'], ''))} {moved['id'][:40]}"
                yield Progress(phase=_PHASE, item=item, done=moved["current"], total=moved["total"], unit="bytes")
        for piece in said.get("logs") or ():
            self._hear(piece.get("vertex", ""), base64.b64decode(piece.get("data", "")))

    def _hear(self, vertex: str, data: bytes) -> None:
        """Some of what a step prints, cut anywhere: only whole lines show what is to be hidden in them."""
        whole, ended, begun = (self._begun.pop(vertex, b"") + data).rpartition(b"\n")
        if len(begun) < LONGEST_LINE:
            self._begun[vertex] = begun
        else:
            whole += ended + begun
        self._write(vertex, whole)

    def _write(self, vertex: str, text: bytes) -> None:
        lines = [without_credentials(line) for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
        kept = self._logs.setdefault(vertex, [])
        kept += lines
        del kept[:-KEPT_LINES]
        if self._log is not None:
            step = short_step(self._names.get(vertex, ""))
            self._log.writelines(f"{step} | {line}\n" for line in lines)

    def close(self) -> None:
        """Nothing more will be fed: lines without an end are whole."""
        for vertex, begun in self._begun.items():
            self._write(vertex, begun)
        self._begun.clear()

    def failure(self) -> CapsuleError:
        """Why the build failed, once closed: the step, and the end of what it printed."""
        name = short_step(self._names.get(self.failed, ""))
        said = without_credentials("\n".join(self._logs.get(self.failed, ())))
        return step_failed(name, said, self.error)

    def _progress(self, name: str) -> Progress:
        return Progress(phase=_PHASE, item=short_step(name), done=len(self._done), total=len(self._names))


def short_step(name: str) -> str:
    """``[environment 1/4] RUN --mount=… uv …`` as ``environment 1/4: RUN``; other names in their first words."""
    stage, closed, rest = name.removeprefix("[").partition("] ")
    if name.startswith("[") and closed:
        return f"{stage}: {rest.split(' ', 1)[0]}"
    return name[:60]


def status_objects(chunks: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects in a stream that cuts them anywhere; buildx writes them over several lines.

    What stands between them (warnings of buildx itself) is skipped.
    """
    decoder = json.JSONDecoder()
    rest = ""
    for chunk in chunks:
        rest += chunk
        while (start := rest.find("{")) >= 0:
            try:
                said, end = decoder.raw_decode(rest, start)
            except ValueError:
                rest = rest[start:]
                break
            rest = rest[end:]
            if isinstance(said, dict):
                yield said


def run_buildx(argv: Sequence[str], environment: Mapping[str, str], report: Report, log: TextIO | None = None) -> None:
    """Run a ``docker buildx build … --progress=rawjson`` to its end.

    When `report` raises, or Ctrl-C arrives, the build is cancelled before the exception goes on.

    Args:
        log: takes all that the steps print.

    Raises:
        CapsuleError: ``build-failed``, ``proof-failed``, ``disk-full``.
    """
    status = BuildStatus(log)
    plain: list[str] = []

    def chunks(stream: Any) -> Iterator[str]:
        while data := os.read(stream.fileno(), 65536):
            text = data.decode("utf-8", "replace")
            if not status.failed:
                plain[:] = ["".join(plain)[-4000:], text]
            yield text

    process = subprocess.Popen(
        list(argv),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C comes to us; we tell buildx once, and wait until it has let go
    )
    try:
        for said in status_objects(chunks(process.stderr)):
            for event in status.feed(said):
                report(event)
        process.wait()
    except BaseException:
        end(process, grace=15)
        raise
    finally:
        status.close()
    if process.returncode != 0:
        if status.failed:
            raise status.failure()
        said_last = without_credentials("".join(plain).strip().rpartition("ERROR: ")[2][-600:])
        if is_full(said_last):
            raise disk_full("it was met while the image was exported")
        raise CapsuleError("build-failed", f"docker buildx build failed: {said_last}", "Look at the engine's log.")
