"""Boots an install once, on loopback and with its own temporary folders, to ask which node classes it has."""

from __future__ import annotations

import asyncio
from typing import Any

from ..progress import Progress, Report, silent
from .client import ComfyClient
from .install import Install
from .process import ComfyProcess

_PHASE = "boot"


def boot_object_info(install: Install, report: Report = silent, timeout: float = 300.0) -> dict[str, Any]:
    """Every node class of `install` as its ``/object_info`` gives it, with the ``python_module`` it comes from.

    Its packs run. Its input, output, temp and user folders are not used, so lists of input files are empty.
    Not to be called from a running event loop: use a thread there.

    Raises:
        CapsuleError: as `ComfyProcess.wait_ready`.
    """
    return asyncio.run(_object_info(install, report, timeout))


async def _object_info(install: Install, report: Report, timeout: float) -> dict[str, Any]:
    def on_line(line: str) -> None:
        report(Progress(phase=_PHASE, item=line))

    # Reading an install leaves no byte code behind in it.
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    async with await ComfyProcess.start(install, env=env, on_line=on_line) as process:
        await process.wait_ready(timeout)
        async with ComfyClient(process.base_url) as client:
            return await client.object_info()
