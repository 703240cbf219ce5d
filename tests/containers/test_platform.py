"""An image for another machine than the engine's, built and run under emulation."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import pytest

from bench.baseimage import base_image
from bench.emulation import emulate_arm
from bench.engine import Engine
from bench.images import small_capsule
from comfy_capsule.packager.image import Docker, build
from comfy_capsule.packager.progress import silent

TAG = "comfy-capsule-test:arm64"


@pytest.mark.sampled
def test_an_image_for_arm_is_built_and_runs(engine: Engine, tmp_path: Path) -> None:
    assert platform.machine() == "x86_64", "the other machine is arm64"
    emulate_arm()
    base = base_image(engine, arm=True)
    run = ("run", "--rm", "--platform", "linux/arm64", "--entrypoint")
    python = engine.docker(*run, "python3", base, "-c", "import platform; print(platform.python_version())").strip()
    capsule = small_capsule(tmp_path)
    there = capsule.lock.platform.model_copy(update={"arch": "aarch64", "python": python})
    capsule = replace(capsule, lock=capsule.lock.model_copy(update={"platform": there}))
    how = {"engine": Docker(engine.environment), "base": base, "prove": False, "platform": "linux/arm64"}
    build(capsule, TAG, report=silent, **how)
    said = "import platform; print(platform.machine())"
    for interpreter in ("/opt/venv/bin/python", "/gateway/bin/python"):
        assert engine.docker(*run, interpreter, TAG, "-c", said).strip() == "aarch64"
    assert engine.docker(*run, "comfy-capsule", TAG, "--version").startswith("comfy-capsule")
    engine.docker("image", "rm", TAG)
