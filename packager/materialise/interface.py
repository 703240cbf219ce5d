"""What others implement for `materialise`: a place where a Python, or a model, can be had."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..capsule import Model


class PythonSource(Protocol):
    """A place where an interpreter of one exact version may be had."""

    def find(self, version: str, implementation: str) -> Path | None:
        """The interpreter of exactly `version` (``3.11.7``), or None when this place does not have it."""
        ...


class Sink(Protocol):
    """Where a model's bytes go. What an interrupted attempt left is still in it, so `offset` may not be 0."""

    @property
    def offset(self) -> int:
        """How many bytes it holds."""
        ...

    @property
    def digest(self) -> str:
        """The sha256 (hex) of what it holds."""
        ...

    def restart(self) -> None:
        """Forget what it holds."""
        ...

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises CapsuleError ``model-differs`` when there are more than the model has."""
        ...


class ModelSource(Protocol):
    """A place where a model file may be had. The store checks every byte that it gives."""

    def give(self, model: Model, sink: Sink) -> bool:
        """Write the model's bytes from `sink.offset` on into `sink`.

        Returns:
            False when this place does not know the model.

        Raises:
            CapsuleError: when it should have it, but cannot give it; the message says why.
        """
        ...
