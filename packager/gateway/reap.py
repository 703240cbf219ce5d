"""As process 1 of a container, the gateway inherits every orphan; their ends must be taken, or they stay as zombies."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

_EVERY = 5.0


async def reap_orphans() -> None:
    """Take the ends of processes that are not the gateway's own, for ever. Linux only."""
    while True:
        await asyncio.sleep(_EVERY)
        for pid in _zombies():
            # One of ours is left to asyncio, which looks at once; an orphan stays a zombie until the next round.
            await asyncio.sleep(_EVERY / 10)
            if pid in _zombies():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def _zombies() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] == "Z" and int(fields[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found
