"""Boots an install once, on loopback and with its own temporary folders, to ask which node classes it has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..progress import Progress, Report, silent
from .client import ComfyClient
from .install import Install
from .process import ComfyProcess

_PHASE = "boot"
_TELL = 0.2  # seconds between two looks at what it printed


class Booted(NamedTuple):
    """What a booted install says of itself.

    Attributes:
        object_info: every node class as its ``/object_info`` gives it, with the ``python_module`` it comes from.
        install: with the models folders that its packs add.
        lines: the last of what it printed.
    """

    object_info: dict[str, Any]
    install: Install
    lines: tuple[str, ...]


def boot(install: Install, report: Report = silent, timeout: float = 300.0) -> Booted:
    """Boot `install` and ask it. Its packs run.

    Its input, output, temp and user folders are not used, so lists of input files are empty.
    Not to be called from a running event loop: use a thread there.

    Raises:
        CapsuleError: as `ComfyProcess.wait_ready`.
    """
    return asyncio.run(_ask(install, report, timeout))


def boot_object_info(install: Install, report: Report = silent, timeout: float = 300.0) -> dict[str, Any]:
    """The node classes alone, see `boot`."""
    return boot(install, report, timeout).object_info


async def _ask(install: Install, report: Report, timeout: float) -> Booted:
    # Reading an install leaves no byte code behind in it.
    async with await ComfyProcess.start(install, env={"PYTHONDONTWRITEBYTECODE": "1"}) as process:
        await wait_ready(process, report, _PHASE, timeout)
        async with ComfyClient(process.base_url) as client:
            return await booted(install, client, process)


async def wait_ready(process: ComfyProcess, report: Report, phase: str, timeout: float) -> None:
    """`ComfyProcess.wait_ready`, while `report` hears the last line that it printed, and may raise to stop the wait."""
    waiting = asyncio.create_task(process.wait_ready(timeout))
    try:
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=_TELL)
            report(Progress(phase=phase, item=process.lines[-1] if process.lines else ""))
    finally:
        waiting.cancel()
    await waiting


async def booted(install: Install, client: ComfyClient, process: ComfyProcess) -> Booted:
    """What the running `process` of `install` says of itself."""
    object_info = await client.object_info()
    said = await client.model_folders()
    return Booted(object_info, _with_folders(install, said, process.output_dir), tuple(process.lines))


def _with_folders(install: Install, said: Iterable[Mapping[str, Any]], output: Path) -> Install:
    """`install` with the places that packs have added; those below the process's own output folder are none of it."""
    folders, endings = dict(install.model_folders), dict(install.model_extensions)
    for entry in said:
        name, known = str(entry.get("name", "")), folders.get(str(entry.get("name", "")), ())
        roots = (Path(os.path.abspath(str(root))) for root in entry.get("folders") or ())
        folders[name] = tuple(dict.fromkeys([*known, *(root for root in roots if not root.is_relative_to(output))]))
        endings.setdefault(name, tuple(str(ending) for ending in entry.get("extensions") or ()))
    return install.model_copy(update={"model_folders": folders, "model_extensions": endings})
