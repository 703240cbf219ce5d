"""Real environments of small wheels for the tests of the Python lock: made by pip or uv, read as an install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from comfy_capsule.packager.capsule import ComfyUI, Lock, Platform
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.materialise import site_packages
from comfy_capsule.packager.uv import find_uv

from .installs import install_at

HERE = ".".join(map(str, sys.version_info[:3]))


def venv(folder: Path) -> Path:
    """A new and empty virtual environment at `folder`."""
    subprocess.run([find_uv(), "venv", "-q", "--no-project", "--python", sys.executable, folder], check=True)
    return folder


def install(tool: str, folder: Path, what: Sequence[str | Path], *words: str) -> None:
    """Install `what` (paths, or requirements) into the venv `folder` with ``pip`` or ``uv``."""
    if tool == "uv":
        argv = [find_uv(), "pip", "install", "-q", "--python", folder, *words, *what]
    else:
        argv = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "-q", "--no-deps"]
        argv += ["--no-cache-dir", "--disable-pip-version-check", *words, *what]
    subprocess.run(argv, check=True, capture_output=True)


def as_install(folder: Path) -> Install:
    """The venv `folder` as that of a ComfyUI."""
    return install_at(
        folder,
        python=folder / "bin/python",
        python_version=HERE,
        site_packages=(site_packages(folder),),
        custom_nodes=(),
    )


def a_lock() -> Lock:
    """The lock of a capsule for this Python."""
    return Lock(
        name="w", platform=Platform(os="linux", arch="x86_64", python=HERE), comfyui=ComfyUI(version="1", kind="git")
    )
