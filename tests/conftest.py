"""What every test may use: the bench's ComfyUI, built once and booted once."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_SAMPLED = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests marked ``sampled``, which take minutes each, one runs; ``make soak`` runs them all."""
    from bench.seed import SEED, SOAK

    sampled = [item for item in items if item.get_closest_marker("sampled")]
    if SOAK or len(sampled) < 2:
        return
    chosen = random.Random(SEED).choice(sampled)
    left = [item for item in sampled if item is not chosen]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.stash[_SAMPLED] = f"seed {SEED}: {chosen.nodeid}; left to `make soak`: {' '.join(i.nodeid for i in left)}"


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    return config.stash.get(_SAMPLED, "")


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The folder of the pristine ComfyUI: read it, change nothing. `bench.fresh_install` gives a private copy."""
    from bench import bench_install

    return bench_install()


@pytest.fixture(scope="session")
def comfy(comfyui: Path) -> Iterator[object]:
    """The pristine ComfyUI running on loopback, shared by all tests: a `bench.RunningComfy`."""
    from bench import running

    with running(comfyui) as running_comfy:
        yield running_comfy


@pytest.fixture
async def fake() -> AsyncIterator[object]:
    """A stand-in for ComfyUI, answering on loopback: a `bench.fake_comfyui.FakeComfyUI`."""
    from bench.fake_comfyui import FakeComfyUI

    async with FakeComfyUI() as stand_in:
        yield stand_in


@pytest.fixture
async def other() -> AsyncIterator[object]:
    """A second one, beside `fake`."""
    from bench.fake_comfyui import FakeComfyUI

    async with FakeComfyUI() as stand_in:
        yield stand_in
