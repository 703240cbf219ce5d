"""A capsule's example, run as a caller would: by a gateway of its own, with every parameter as it was captured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..capsule import read_capsule
from ..comfy import free_port
from ..restore import Row, Table, row

_BOOT = 600.0  # seconds until the gateway is ready
_POLL = 0.5
_ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})


def run_example(capsule: Path, comfy: Path, python: Path) -> Table:
    """Serve `capsule` on loopback and run it with its defaults: one row for the run, and one for each output."""
    contract = read_capsule(capsule).contract
    with _gateway(capsule, comfy, python) as (url, process, log):
        if why := _not_ready(url, process, log):
            return Table(rows=(row("example", contract.name, "served", why, False),))
        status, said = _ask(f"{url}/workflows/{contract.name}", {})
        if status == 422:
            detail = said.get("detail", "a parameter has no default")
            return Table(rows=(), unproved=(f"Its example was not run: {detail}",))
        while status in (200, 202) and said["state"] not in _ENDED:
            time.sleep(_POLL)
            status, said = _ask(f"{url}/executions/{said['id']}")
    return Table(rows=tuple(_rows(contract.name, [item.name for item in contract.outputs], said)))


def _rows(name: str, outputs: list[str], said: dict[str, Any]) -> Iterator[Row]:
    problem = said.get("problem") or (said if "state" not in said else {})
    state = said.get("state", "refused")
    why = problem.get("detail") or problem.get("title") or ""
    yield row("example", name, "succeeded", f"{state}: {why}" if why else state, state == "succeeded")
    for output in outputs if state == "succeeded" else ():
        count = len(said["outputs"].get(output) or ())
        yield row("example", f"output {output}", "there", "there" if count else "nothing")


@contextmanager
def _gateway(capsule: Path, comfy: Path, python: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    with tempfile.TemporaryDirectory() as state:
        log, port = Path(state, "log"), free_port()
        argv = [sys.executable, "-m", f"{__package__.rpartition('.')[0]}.cli", "serve", str(capsule)]
        argv += ["--comfy", str(comfy), "--python", str(python), "--host", "127.0.0.1", "--port", str(port)]
        with log.open("wb") as written:
            process = subprocess.Popen([*argv, "--state", f"{state}/state"], stdout=written, stderr=written)
        try:
            yield f"http://127.0.0.1:{port}", process, log
        finally:
            process.terminate()
            process.wait()


def _not_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """Why it does not become ready; empty once it is."""
    end = time.monotonic() + _BOOT
    while process.poll() is None and time.monotonic() < end:
        status, _ = _ask(f"{url}/readyz")
        if status == 200:
            return ""
        time.sleep(_POLL)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    how = f"not ready after {_BOOT:.0f} s" if process.poll() is None else "the gateway ended"
    return f"{how}; its last line: {(lines or ['none'])[-1]}"


def _ask(url: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer; status 0 where there is none."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
    except (OSError, ValueError):
        return 0, {}
