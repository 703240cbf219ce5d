"""What others implement for `materialise`: a place where a Python, or a model, can be had."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..capsule import Model
from ..progress import Report


class PythonSource(Protocol):
    """A place where an interpreter of one exact version may be had."""

    def find(self, version: str, implementation: str) -> Path | None:
        """The interpreter of exactly `version` (``3.11.7``), or None when this place does not have it."""
        ...


class ModelSource(Protocol):
    """A place where a model file may be had."""

    def fetch(self, model: Model, to: Path, report: Report) -> bool:
        """Put the model's bytes at `to`, a new file in a folder that exists.

        Returns:
            False, and no file at `to`, when this place does not have it. The caller checks the digest again.
        """
        ...
