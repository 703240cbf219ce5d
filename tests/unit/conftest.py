"""What several unit tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bench.fake_comfyui import FakeComfyUI


@pytest.fixture
async def fake() -> AsyncIterator[FakeComfyUI]:
    """A stand-in for ComfyUI, answering on loopback."""
    async with FakeComfyUI() as comfy:
        yield comfy
