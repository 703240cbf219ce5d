"""What several tests of parts use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.postgres import Postgres, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server of the module's own: its tests may stop it."""
    with postgres() as running:
        yield running
