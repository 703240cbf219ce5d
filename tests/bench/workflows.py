"""The bench's workflows, each as the front-end saves it (with marks) and as it exports it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).with_name("workflows")


@dataclass(frozen=True)
class Workflow:
    """`ui`: format 0.4, marks in ``node.properties.capsule``. `api`: what ``POST /prompt`` takes.

    Their files are `ui_path` and `api_path`.
    """

    name: str

    @property
    def ui_path(self) -> Path:
        return _FOLDER / f"{self.name}.json"

    @property
    def api_path(self) -> Path:
        return _FOLDER / f"{self.name}.api.json"

    @property
    def ui(self) -> dict[str, Any]:
        return dict(json.loads(self.ui_path.read_text()))

    @property
    def api(self) -> dict[str, Any]:
        return dict(json.loads(self.api_path.read_text()))


UPSCALE = Workflow("upscale")
"""LoadImage, a tiny ESRGAN, BenchTint, SaveImage."""

PLAIN = Workflow("plain")
"""EmptyImage, BenchTint, SaveImage: no model and no input file."""
