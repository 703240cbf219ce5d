"""One real engine for the whole session of container tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.baseimage import base_image
from bench.engine import Engine
from bench.engine import engine as running_engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker Engine with buildx: the machine's own, else one from Debian packages."""
    with running_engine() as found:
        yield found


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The name of the bench's base image, which stands in for debian:bookworm-slim."""
    return base_image(engine)
