"""What several tests of parts use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.postgres import Postgres, postgres
from bench.small import Small


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server of the module's own: its tests may stop it."""
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Very small ComfyUIs and the capsule of one; this user's own stores and locks are elsewhere meanwhile."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setenv("UV_OFFLINE", "1")
        yield Small(folder)
