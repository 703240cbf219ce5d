"""ComfyUI's front-end in any version, each unpacked once into the bench's cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.uv import find_uv

from .cache import cache_root

PACKAGE = "comfyui-frontend-package"


def frontend_root(version: str) -> Path:
    """The folder that ``--front-end-root`` takes for `version`, from the package index when it is not there."""
    final = cache_root() / "frontends" / version
    if not final.is_dir():
        final.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent) as folder:
            place = Path(folder, "place")
            run([find_uv(), "pip", "install", "--quiet", "--no-deps", "--target", place, f"{PACKAGE}=={version}"])
            place.rename(final)
    return final / "comfyui_frontend_package" / "static"
