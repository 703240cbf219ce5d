"""Models: what a graph uses, found in the models folders; where they can be had again; what stands against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfy_capsule.packager.snapshot.model_folders import model_folders
from comfy_capsule.packager.snapshot.models import find_models
from model_cases import CASES, Case, graph_of, install_of


def test_there_are_fifty() -> None:
    assert len(CASES) >= 50
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_graph_uses(case: Case, tmp_path: Path) -> None:
    install = install_of(tmp_path, case.files)
    found, absent = find_models(model_folders(install), *graph_of(case))
    assert sorted(f"{item.folder}:{item.name}" for item in found) == sorted(case.uses)
    assert sorted(f"{item.code}:{item.name}" for item in absent) == sorted(case.lacks)
    assert all(item.path.is_file() for item in found)
