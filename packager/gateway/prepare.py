"""What must be there before a ComfyUI of ours starts: what a command brings, models that links lead to, a driver."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
from collections import deque
from pathlib import Path

from ..comfy import Install, driver_problem, torch_version
from ..errors import CapsuleError

log = logging.getLogger(__name__)

_IN_STORE = re.compile(r"/sha256/[0-9a-f]{2}/[0-9a-f]{64}$")
_KEPT = 3  # lines of a failed command


async def prepare(command: str, install: Install) -> None:
    """Run `command`, when there is one, and look whether `install` can start.

    Raises:
        CapsuleError: ``prepare-failed`` with the end of what it said; ``model-missing``; ``no-cuda``.
    """
    if command:
        await _run(shlex.split(command))
    if missing := await asyncio.to_thread(dangling, install.root / "models"):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CapsuleError(
            "model-missing",
            f"The model {missing[0]}{more} is not in the volume that it should be in.",
            "Mount the volume, or fill it with `comfy-capsule models pull CAPSULE --to DIR`.",
        )
    torch = "" if "--cpu" in install.arguments else torch_version(install)
    if problem := await asyncio.to_thread(driver_problem, torch):
        raise CapsuleError("no-cuda", problem, "Update the driver, or run without a GPU.")


def dangling(models: Path) -> list[str]:
    """The links below `models` into a store of models that lead nowhere, by their names. Other links are not ours."""
    found = []
    for base, folders, files in os.walk(models):
        for name in (*folders, *files):
            path = Path(base, name)
            if path.is_symlink() and _IN_STORE.search(os.readlink(path)) and not path.exists():
                found.append(path.relative_to(models).as_posix())
    return sorted(found)


async def _run(words: list[str]) -> None:
    log.info("first: %s", words[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,  # bytes of a line
        )
    except OSError as error:
        raise CapsuleError("prepare-failed", f"{words[0]} cannot be run: {error.strerror}.") from error
    last: deque[str] = deque(maxlen=_KEPT)
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            last.append(line.decode("utf-8", "replace").strip())
            log.info("%s: %s", words[0], last[-1])
        status = await process.wait()
    finally:
        if process.returncode is None:  # we are told to end
            process.terminate()
            await process.wait()
    if status:
        raise CapsuleError("prepare-failed", f"{words[0]} ended with {status}: {' '.join(last) or 'it said nothing'}")
