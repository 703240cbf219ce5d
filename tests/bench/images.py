"""The image that the container tests look at from all sides."""

from __future__ import annotations

from pathlib import Path

from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.image import BuiltImage, Docker, build
from comfy_capsule.packager.progress import Report, silent

from .engine import Engine

TAG = "comfy-capsule-test:upscale"
KEY = "a-key-of-the-container-tests"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512")


def built(
    capsule: Capsule, engine: Engine, base: str, comfyui: Path, tag: str = TAG, report: Report = silent
) -> BuiltImage:
    """The image of `capsule`, whose models are those of `comfyui`."""
    docker = Docker(engine.environment)
    return build(capsule, tag, engine=docker, base=base, models_from=[comfyui / "models"], report=report)
