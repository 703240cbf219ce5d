"""One real engine for the whole session of container tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.baseimage import base_image
from bench.engine import Engine
from bench.engine import engine as running_engine
from bench.images import built, upscale_capsule
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.image import BuiltImage


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker Engine with buildx: the machine's own, else one from Debian packages."""
    with running_engine() as found:
        yield found


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The name of the bench's base image, which stands in for debian:bookworm-slim."""
    return base_image(engine)


@pytest.fixture(scope="session")
def capsule(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """The upscaling workflow, sealed."""
    return upscale_capsule(comfyui, tmp_path_factory.mktemp("capsule"))


@pytest.fixture(scope="session")
def image(capsule: Capsule, engine: Engine, base: str, comfyui: Path) -> BuiltImage:
    """Its image, under `TAG`."""
    return built(capsule, engine, base, comfyui)
