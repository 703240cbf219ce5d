"""The one door to `uv`: which one is used, and that it is the version whose behaviour we know."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .errors import CapsuleError


def find_uv() -> Path:
    """The `uv` beside this Python, else the one on PATH. Raises CapsuleError ``no-uv``."""
    name = "uv.exe" if sys.platform == "win32" else "uv"
    beside = Path(sys.executable).with_name(name)
    found = beside if beside.is_file() else shutil.which("uv")
    if not found:
        raise CapsuleError("no-uv", "The program uv is not installed.", "Run `pip install 'comfy-capsule[cli]'`.")
    return Path(found)
