"""The proof compares node classes as they were frozen, and names each that is not the captured one."""

from __future__ import annotations

from typing import Any

from comfy_capsule.packager.proof import compare_classes
from comfy_capsule.packager.workflow import frozen_signatures


def definition(**inputs: Any) -> dict[str, Any]:
    return {"input": {"required": inputs}, "output": ["IMAGE"], "name": "X"}


FOUND = {
    "Load": definition(model=[["a.safetensors", "b.safetensors"], {}]),
    "Blur": definition(radius=["INT", {"min": 0, "max": 9}]),
}


def test_another_machines_files_are_no_difference() -> None:
    frozen = frozen_signatures(FOUND, FOUND)
    assert compare_classes(frozen, {**FOUND, "Load": definition(model=[["other.safetensors"], {}]), "More": {}}) == {}


def test_missing_and_changed_classes_are_named() -> None:
    frozen = frozen_signatures(FOUND, FOUND)
    changed = {"Blur": {**definition(radius=["INT", {"min": 0, "max": 10}]), "output": ["MASK"]}}
    assert compare_classes(frozen, changed) == {"Load": "is missing", "Blur": "has another input, output"}
