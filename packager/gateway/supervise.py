"""The ComfyUI behind a worker: somebody's, reached by URL, or our own, started, watched and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Protocol

from ..comfy import ComfyClient, ComfyProcess, find_install
from ..errors import CapsuleError
from .prepare import prepare
from .settings import BUCKET_SECRETS, Settings

log = logging.getLogger(__name__)

_PROBE = 1.0  # seconds between looks at a ComfyUI that does not answer
_BACK_OFF = (0.5, 1, 2, 5, 10, 30)  # seconds before each next start, while none was stable in between
_LOADS = "Requested to load "  # ComfyUI's own words (``comfy/model_management.py``, 0.30.0)
_RECORD = "process.json"
_STABLE = 60.0  # seconds of life after which a death counts as the first one again


class Backend(Protocol):
    """One ComfyUI. `up` is set while it answers; `generation` rises each time it comes up again.

    `reason` says in one sentence why it is not up.
    """

    up: asyncio.Event
    generation: int
    reason: str
    own: bool
    model_loads: int  # as its log tells; 0 when that is not ours to read

    @property
    def memory(self) -> int:
        """The bytes that its process holds; 0 when that cannot be known."""

    @property
    def peak_memory(self) -> int:
        """The most bytes that its process has held; 0 when that cannot be known."""

    @property
    def client(self) -> ComfyClient:
        """The client of the ComfyUI that is, or last was, up."""

    def folder(self, type: str) -> Path | None:
        """Where its files of `type` (``input``, ``output``, ``temp``) are, links followed, when they are ours."""

    async def run(self) -> None:
        """Watch it for ever."""

    def lost(self) -> None:
        """Its socket was cut: look whether it still answers."""

    async def replace(self, reason: str) -> bool:
        """End it, so that a fresh one comes up; False when it is not ours to end. `reason`: a sentence's first half."""

    async def stop(self) -> None:
        """End what was started."""


class Attached:
    """Somebody's ComfyUI: only ever asked, its folders never touched."""

    own = False
    model_loads = 0
    memory = 0
    peak_memory = 0

    def __init__(self, url: str) -> None:
        self.up = asyncio.Event()
        self.generation = 0
        self.reason = f"No answer yet from ComfyUI at {url}."
        self.client = ComfyClient(url)
        self._look = asyncio.Event()

    def folder(self, type: str) -> Path | None:
        return None

    async def run(self) -> None:
        while True:
            self._look.clear()
            try:
                await self.client.system_stats()
            except CapsuleError as error:
                self.reason = str(error)
                if self.up.is_set():
                    log.warning("ComfyUI no longer answers: %s", error)
                self.up.clear()
                await asyncio.sleep(_PROBE)
                continue
            if not self.up.is_set():
                self.generation += 1
                self.reason = ""
                self.up.set()
            await self._look.wait()

    def lost(self) -> None:
        self._look.set()

    async def replace(self, reason: str) -> bool:
        return False

    async def stop(self) -> None:
        await self.client.close()


class Supervised:
    """Our own ComfyUI: on loopback, a random port, with folders of its own below the state folder."""

    own = True

    def __init__(self, settings: Settings, number: int = 0, gpu: str = "") -> None:
        """`number` tells it from others of the same gateway; `gpu` is the only one that it sees, empty for any."""
        self.up = asyncio.Event()
        self.generation = 0
        self.reason = "ComfyUI is starting."
        self._settings = settings
        self._base = (settings.state / f"worker-{number}").resolve()
        self._environment = {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
        self._without = BUCKET_SECRETS if settings.s3 else ()
        self._process: ComfyProcess | None = None
        self._client: ComfyClient | None = None
        self.model_loads = 0
        self._replaced = ""  # why it was ended

    @property
    def memory(self) -> int:
        return self._told("VmRSS")

    @property
    def peak_memory(self) -> int:
        return self._told("VmHWM")

    def _told(self, field: str) -> int:
        """A field of its ``/proc/PID/status``, in bytes."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text() if self._process else ""
        except OSError:  # it has just died, or this is not Linux
            return 0
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    @property
    def client(self) -> ComfyClient:
        if self._client is None:
            raise CapsuleError("comfyui-unreachable", self.reason)
        return self._client

    def folder(self, type: str) -> Path | None:
        if self._process is None:
            return None
        process = self._process
        return {"input": process.input_dir, "output": process.output_dir, "temp": process.temp_dir}.get(type)

    async def run(self) -> None:
        python = Path(self._settings.python) if self._settings.python else None
        install = await asyncio.to_thread(find_install, Path(self._settings.comfy), python, self._settings.arguments)
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            began, self._replaced = loop.time(), ""
            try:
                await prepare(self._settings.prepare, install)
                for folder in ("input", "output"):  # what was wanted has been copied, and what is needed will be
                    shutil.rmtree(self._base / folder, ignore_errors=True)
                self._process = process = await ComfyProcess.start(
                    install,
                    input_dir=self._base / "input",
                    output_dir=self._base / "output",
                    temp_dir=self._base / "temp",
                    user_dir=self._base / "user",
                    env=self._environment,
                    without=self._without,
                    on_line=self._heard,
                )
                self._remember(process)
                await process.wait_ready(self._settings.boot)
                if self._client is not None:
                    await self._client.close()
                self._client = ComfyClient(process.base_url)
                self.generation += 1
                self.reason = ""
                self.up.set()
                log.info("ComfyUI is up after %.1f s, process %d", loop.time() - began, process.pid)
                status = await process.wait()
                await process.stop()  # what is left of its children
                if self._replaced:
                    self.up.clear()
                    self.reason, self._replaced = f"{self._replaced}; a fresh one is being started.", ""
                    log.warning("%s", self.reason)
                    continue
                self.reason = f"ComfyUI died with status {status}; it is being started again."
            except CapsuleError as error:
                self.reason = str(error)
            self.up.clear()
            log.error("%s", self.reason)
            deaths = 1 if loop.time() - began > _STABLE else deaths + 1
            await asyncio.sleep(_BACK_OFF[min(deaths, len(_BACK_OFF)) - 1])

    def _heard(self, line: str) -> None:
        self.model_loads += line.startswith(_LOADS)
        log.info("comfyui: %s", line)

    def lost(self) -> None:
        """Nothing to do: the end of the process is seen by itself."""

    async def replace(self, reason: str) -> bool:
        if self._process is not None:
            self.up.clear()
            self._replaced = reason
            await self._process.stop(grace=0.5)
        return True

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._process is not None:
            await self._process.stop()
        with contextlib.suppress(FileNotFoundError):
            self._record.unlink()

    @property
    def _record(self) -> Path:
        return self._base / _RECORD

    def _remember(self, process: ComfyProcess) -> None:
        self._record.write_text(
            json.dumps({"pid": process.pid, "url": process.base_url, "user": str(process.user_dir)})
        )


def end_orphans(state: Path) -> None:
    """A gateway that was killed leaves its ComfyUIs behind: end them, where the process is still that one."""
    for path in state.glob(f"worker-*/{_RECORD}"):
        try:
            record = json.loads(path.read_text())
            command = Path(f"/proc/{record['pid']}/cmdline").read_bytes()
        except (OSError, ValueError, KeyError):
            continue
        if str(record["user"]).encode() in command.split(b"\0"):
            log.warning("Ending the ComfyUI (process %d) that an earlier gateway left behind.", record["pid"])
            with contextlib.suppress(ProcessLookupError):
                os.killpg(record["pid"], signal.SIGKILL)
