"""Why a ComfyUI did not start: one sentence out of what it printed, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_REQUIREMENTS = "Install its requirements.txt into the Python that runs it."


class Reason(NamedTuple):
    """A stable code, a sentence, and the cure (empty when unknown)."""

    code: str
    message: str
    cure: str


# The first pattern found from the end of the output wins; \1 is the pattern's first group.
_KNOWN: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern), Reason(*reason))
    for pattern, reason in (
        (r"Port (\d+) is already in use", ("port-taken", r"Port \1 is already taken.", "Choose another port.")),
        (
            r"Torch not compiled with CUDA enabled|Found no NVIDIA driver|No CUDA GPUs are available",
            ("no-cuda", "torch finds no CUDA device on this machine.", "Start ComfyUI with --cpu."),
        ),
        (
            r"CUDA driver version is insufficient",
            ("no-cuda", "The NVIDIA driver is too old for this torch.", "Update the driver."),
        ),
        (
            r"^ModuleNotFoundError: No module named '([^']+)'",
            ("module-missing", r"Its Python has no module '\1'.", _REQUIREMENTS),
        ),
        (
            r"^main\.py: error: (.*)",
            ("bad-argument", r"ComfyUI refuses an argument: \1.", "Correct the launch arguments."),
        ),
        (
            r"Database is locked|Could not acquire lock on database",
            ("database-locked", "Another ComfyUI uses the same database.", "Give another --database-url."),
        ),
        (
            r"^MemoryError|Cannot allocate memory",
            ("out-of-memory", "The machine has no memory left.", "Free memory and retry."),
        ),
        (r"^((?:\w+\.)*\w*(?:Error|Exception)\b.*)", ("start-failed", r"It ended with \1", "")),
    )
)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|^\[[A-Z]+\] ")


def why_it_ended(lines: Sequence[str], returncode: int | None) -> Reason:
    """The reason found in the last of `lines` that gives one; else the exit status and the last line itself."""
    clean = [plain(line) for line in lines]
    for line in reversed(clean):
        for pattern, reason in _KNOWN:
            found = pattern.search(line)
            if found:
                return reason._replace(message=found.expand(reason.message))
    if returncode is not None and returncode < 0:
        cure = "It was killed, perhaps for want of memory." if returncode == -9 else ""
        return Reason("killed", f"It was ended by signal {-returncode}.", cure)
    last = next((line for line in reversed(clean) if line.strip()), "")
    said = f", saying: {last.strip()}" if last else " and printed nothing."
    return Reason("start-failed", f"It exited with status {returncode}{said}", "")


def plain(line: str) -> str:
    """`line` without colours and without the level that ComfyUI puts before it."""
    return _ESCAPES.sub("", _ESCAPES.sub("", line))
