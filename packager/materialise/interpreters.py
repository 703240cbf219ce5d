"""The Python of a capsule's exact version: the one that runs us, one on this machine, or one from uv."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command import run
from ..errors import BadInput, CapsuleError
from ..uv import find_uv
from .interface import PythonSource


class RunningPython:
    """The Python under this very process, when it is the one."""

    def find(self, version: str, implementation: str) -> Path | None:
        """See `PythonSource`."""
        base = getattr(sys, "_base_executable", "") or sys.executable
        same = (platform.python_version(), sys.implementation.name) == (version, implementation)
        return Path(base) if same and base and Path(base).is_file() else None


class InstalledPython:
    """Any interpreter that uv finds on this machine, its own managed ones included."""

    def find(self, version: str, implementation: str) -> Path | None:
        """See `PythonSource`."""
        words = ["--only-installed", "--no-python-downloads", "--all-versions", "--output-format", "json"]
        # The whole list and not `uv python find`, which gives up at the first broken shim on PATH.
        for found in json.loads(run([find_uv(), "python", "list", *words]) or "[]"):
            same = (found["version"], found["implementation"]) == (version, implementation)
            if same and found.get("variant", "default") == "default" and found["path"]:
                return Path(found["path"])
        return None


class ManagedPython:
    """The build of that version that uv downloads and checks by its own recorded digest."""

    def find(self, version: str, implementation: str) -> Path | None:
        """See `PythonSource`."""
        wanted = f"{implementation}@{version}"
        quietly = {"UV_HTTP_RETRIES": os.environ.get("UV_HTTP_RETRIES", "1")}
        try:
            run([find_uv(), "python", "install", "--no-bin", "--no-progress", wanted], env=quietly)
        except CapsuleError as error:
            if error.code != "command-failed":
                raise
            return None
        return InstalledPython().find(version, implementation)


PYTHON_SOURCES: tuple[PythonSource, ...] = (RunningPython(), InstalledPython(), ManagedPython())


def find_python(version: str, implementation: str, sources: Sequence[PythonSource] = PYTHON_SOURCES) -> Path:
    """The interpreter of exactly `version`, from the first of `sources` that has it.

    Raises:
        BadInput: ``python-not-found``.
    """
    for source in sources:
        found = source.find(version, implementation)
        if found is not None:
            return found
    raise BadInput(
        "python-not-found",
        f"The capsule needs {implementation} {version}, which is not here and which uv could not download.",
        f"Install exactly that version, for example with `uv python install {version}`.",
    )
