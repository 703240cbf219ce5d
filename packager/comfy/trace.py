"""A traced run: ComfyUI is booted once, runs a workflow once, and what it opened on the way is written down."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ..errors import CapsuleError
from ..progress import Progress, Report, silent
from .boot import Booted, booted, wait_ready
from .client import ComfyClient
from .events import Event
from .install import Install
from .process import ComfyProcess
from .reasons import why_it_ended

_TRACER = Path(__file__).with_name("tracer.py")
_PHASE = "trace"
_CURE = "Run it in ComfyUI until it works there, and trace it again."


class Trace(BaseModel):
    """What a run did beyond its own output, temp and user folders.

    Attributes:
        read: the files that were opened for reading and are still there; absolute, sorted, as they were named.
        made: of these, those that the run itself wrote or moved to their place.
        hosts: the names and addresses that were asked for on the network, sorted, without this machine's own.
    """

    model_config = ConfigDict(frozen=True)

    read: tuple[Path, ...] = ()
    made: frozenset[Path] = frozenset()
    hosts: tuple[str, ...] = ()


class Traced(NamedTuple):
    """What the booted install says of itself, and the trace of the run."""

    booted: Booted
    trace: Trace


def traced_run(install: Install, graph: Mapping[str, Any], report: Report = silent, timeout: float = 300.0) -> Traced:
    """Boot `install`, run the API graph `graph` once, and say what was opened from the boot on.

    It runs with the install's own input folder, and output, temp and user folders that go with it. Its packs do what
    they always do: what they download stays where they put it.

    Args:
        timeout: seconds for the boot; the run takes as long as it takes.

    Raises:
        BadInput: as `ComfyClient.submit`, for a graph that ComfyUI refuses.
        CapsuleError: as `ComfyProcess.wait_ready`; ``trace-failed`` when the workflow fails.
    """
    return asyncio.run(_run(install, graph, report, timeout))


async def _run(install: Install, graph: Mapping[str, Any], report: Report, timeout: float) -> Traced:
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-") as folder:
        log = Path(folder, "trace")
        process = await ComfyProcess.start(
            install,
            through=(_TRACER, log),
            input_dir=install.input_dir,
            env={"PYTHONDONTWRITEBYTECODE": "1"},  # reading an install leaves no byte code behind in it
        )
        async with process:
            await wait_ready(process, report, _PHASE, timeout)
            async with ComfyClient(process.base_url) as client:
                known = await booted(install, client, process)
                await _follow(client, process, graph, report)
            own = (process.output_dir, process.temp_dir, process.user_dir)
            return Traced(known, _read(log.read_text(encoding="utf-8"), own))


async def _follow(client: ComfyClient, process: ComfyProcess, graph: Mapping[str, Any], report: Report) -> None:
    """Submit `graph` and wait for its end. Raises CapsuleError ``trace-failed``."""
    us, prompt, done = uuid.uuid4().hex, str(uuid.uuid4()), 0
    async with client.websocket(us) as events:
        await client.submit(graph, prompt_id=prompt, client_id=us)
        async for event in events:
            if event.data.get("prompt_id") != prompt:
                continue
            if event.kind == "execution_success":
                return
            if event.kind in ("execution_error", "execution_interrupted"):
                raise CapsuleError("trace-failed", f"The workflow does not run here: {_failure(event)}", _CURE)
            if event.kind == "executing" and (node := event.data.get("node")) is not None:
                title = str(graph.get(str(node), {}).get("class_type", node))
                report(Progress(phase=_PHASE, item=title, done=min(done, len(graph)), total=len(graph)))
                done += 1
    status = await process.stop()
    reason = why_it_ended(process.lines, status)
    raise CapsuleError("trace-failed", f"ComfyUI died while the workflow ran. {reason.message}", reason.cure)


def _failure(event: Event) -> str:
    node, message = event.data.get("node_id", "?"), str(event.data.get("exception_message", "it was interrupted"))
    return f"node {node} ({event.data.get('node_type', '?')}): {message.strip().rstrip('.')}."


def _read(log: str, own: tuple[Path, ...]) -> Trace:
    said: dict[str, set[str]] = {"read": set(), "made": set(), "host": set()}
    for line in log.splitlines():
        kind, what = json.loads(line)
        said[kind].add(what)
    read = [path for path in map(Path, sorted(said["read"])) if not any(map(path.is_relative_to, own))]
    there = tuple(path for path in read if path != _TRACER and path.is_file())  # a traceback shows its lines
    made = frozenset(map(Path, said["made"]))
    return Trace(read=there, made=made.intersection(there), hosts=tuple(sorted(filter(_is_elsewhere, said["host"]))))


def _is_elsewhere(host: str) -> bool:
    return host not in ("localhost", "0.0.0.0", "::", "::1") and not host.startswith("127.")
