"""One ComfyUI started, watched and stopped by us, on loopback, with folders of its own."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import re
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

import aiohttp

from ..caches import cache_environment
from ..errors import CapsuleError
from ..secrets import SECRET_PREFIX
from .device import needs_cpu_flag
from .install import Install
from .port import free_port
from .reasons import why_it_ended

_KEPT_LINES = 2000
_POLL_SECONDS = 0.1
# The caller's interpreter settings would give ComfyUI the wrong modules.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
# What the gateway is asked and signs with is none of a pack's business.
_SECRET_SETTINGS = ("COMFY_CAPSULE_API_KEYS", "COMFY_CAPSULE_WEBHOOK_SECRETS", "COMFY_CAPSULE_DATABASE")


class ComfyProcess:
    """A running ComfyUI. Get one with `start`; use it as an async context manager, or call `stop`.

    Attributes:
        base_url: e.g. ``http://127.0.0.1:24571``.
        pid: also its process group, in which its children are.
        input_dir, output_dir, temp_dir, user_dir: the folders it uses; those not given to `start` are its own and
            go with it. ComfyUI empties and removes its temp folder when it starts and ends.
        lines: the last lines of its output.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        port: int,
        folders: Mapping[str, Path],
        own: tempfile.TemporaryDirectory[str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._process = process
        self._own = own
        self._on_line = on_line
        self._stopped = False
        self.base_url = f"http://127.0.0.1:{port}"
        self.input_dir = folders["input"]
        self.output_dir = folders["output"]
        self.temp_dir = folders["temp"] / "temp"  # main.py puts "temp" below the folder it is given
        self.user_dir = folders["user"]
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        install: Install,
        *,
        extra_args: Sequence[str] = (),
        cpu: bool | None = None,
        port: int | None = None,
        input_dir: Path | None = None,
        output_dir: Path | None = None,
        temp_dir: Path | None = None,
        user_dir: Path | None = None,
        through: Sequence[str | Path] = (),
        env: Mapping[str, str] | None = None,
        without: Collection[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> Self:
        """Start `install` and return at once; `wait_ready` waits for its server.

        Args:
            cpu: whether to pass ``--cpu``; None decides by the machine and the install's torch.
            port: a free one is found when not given.
            temp_dir: the folder *below which* ComfyUI makes and removes ``temp``.
            through: a script and its arguments, which starts ``main.py`` with what follows.
            env: added to this process's environment.
            without: names of this process's environment that it does not get.
            on_line: called with each line it prints, as it comes.

        Raises:
            CapsuleError: ``no-program`` when its Python cannot be run.
        """
        given = {"input": input_dir, "output": output_dir, "temp": temp_dir, "user": user_dir}
        own = tempfile.TemporaryDirectory(prefix="comfy-capsule-") if None in given.values() else None
        folders = {name: (path or Path(own.name if own else "", name)).absolute() for name, path in given.items()}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        chosen = port or free_port()
        argv = [str(install.python), *map(str, through), "main.py", *_arguments(install, chosen, folders), *extra_args]
        if cpu or (cpu is None and needs_cpu_flag(install)):
            argv.append("--cpu")
        kept = {name: value for name, value in os.environ.items() if _is_inherited(name) and name not in without}
        caches = cache_environment(install.root)
        if "HF_HOME" in caches:  # what it needs of the hub is there; a newer state of it would be another one
            kept = {"HF_HUB_OFFLINE": "1", **kept}
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=install.root,
                env={**kept, **caches, "PYTHONUNBUFFERED": "1", **(env or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that its children end with it
            )
        except OSError as error:
            if own:
                own.cleanup()
            raise CapsuleError("no-program", f"{install.python} cannot be run: {error.strerror}.") from error
        return cls(process, chosen, folders, own, on_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.returncode

    async def wait_ready(self, timeout: float = 300.0) -> None:
        """Wait until its server answers.

        Args:
            timeout: seconds.

        Raises:
            CapsuleError: when it ends before that, with the reason found in its output (codes in `reasons`), or
                ``comfyui-slow`` when the time is over; it is stopped in both cases.
        """
        try:
            async with asyncio.timeout(timeout):
                async with aiohttp.ClientSession() as session:
                    while not await self._answers(session):
                        await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            await self.stop()
            raise CapsuleError(
                "comfyui-slow",
                f"ComfyUI did not answer within {timeout:.0f} s; its last line: {(self.lines or ['none'])[-1]}",
                "Give it more time, or start it by hand to see what it waits for.",
            ) from error

    async def wait(self) -> int:
        """Its exit status, once it has ended by itself or by `stop`."""
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a child that outlives it may hold its output open
            await asyncio.wait_for(asyncio.shield(self._reader), 1.0)
        return status

    async def stop(self, grace: float = 10.0) -> int:
        """End it and its children: SIGTERM, then SIGKILL after `grace` seconds. Its own folders go.

        Returns:
            Its exit status; calling it again does nothing more.
        """
        if not self._stopped:
            self._stopped = True
            if self.returncode is None:
                self._signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), grace)
            self._signal(signal.SIGKILL)  # whatever of its group is left
        status = await self.wait()
        self._reader.cancel()
        if self._own:
            self._own.cleanup()
        return status

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        """Whether *this* process serves: another server on the same port does not name our folders."""
        if self.returncode is not None:
            await self.stop()
            reason = why_it_ended(self.lines, self.returncode)
            raise CapsuleError(reason.code, f"ComfyUI did not start. {reason.message}", reason.cure)
        try:
            async with session.get(f"{self.base_url}/system_stats", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                stats = await answer.json(content_type=None) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return isinstance(stats, dict) and str(self.user_dir) in stats.get("system", {}).get("argv", ())

    async def _read(self) -> None:
        """Split the output at line ends and carriage returns: progress bars come without line ends."""
        assert self._process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while chunk := await self._process.stdout.read(65536):
            *complete, rest = re.split(r"[\r\n]", rest + decoder.decode(chunk))
            for line in complete:
                self._keep(line)
        self._keep(rest)

    def _keep(self, line: str) -> None:
        if not line.strip():
            return
        self.lines.append(line)
        if self._on_line:
            self._on_line(line)


def _is_inherited(name: str) -> bool:
    """A capsule's secrets reach ComfyUI in the graph that needs them, and not every pack in the environment."""
    return name not in _NOT_INHERITED and name not in _SECRET_SETTINGS and not name.startswith(SECRET_PREFIX)


def _arguments(install: Install, port: int, folders: Mapping[str, Path]) -> list[str]:
    """ComfyUI's own flags (comfy/cli_args.py, 0.30.0). The last of a repeated flag wins, so ours come after."""
    words = [*install.arguments, "--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch"]
    for name, folder in folders.items():
        words += [f"--{name}-directory", str(folder)]
    # The default database is shared by every process of the install, and locked by the first.
    return [*words, "--database-url", "sqlite:///:memory:"]
