"""Other tools, each in an environment of its own, that benchmarks compare with."""

from __future__ import annotations

import sys
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.uv import find_uv

from .cache import cache_root


def peer(requirement: str) -> Path:
    """The folder of programs of an environment with `requirement`, as ``name==version``; made once."""
    folder = cache_root() / requirement.replace("==", "-")
    if not (folder / "ready").is_file():
        run([find_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, folder])
        run([find_uv(), "pip", "install", "--quiet", "--python", folder / "bin" / "python", requirement])
        (folder / "ready").touch()
    return folder / "bin"
