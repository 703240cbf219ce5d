"""The engines by their names."""

from __future__ import annotations

from .docker import Docker
from .interface import ContainerEngine
from .podman import Podman


def engine_named(name: str) -> ContainerEngine:
    """The engine ``docker`` or ``podman`` of this process's own environment."""
    return Podman() if name == "podman" else Docker()
