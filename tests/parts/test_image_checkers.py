"""What others' checkers say of a build context: checkov, of its Dockerfile and its Compose files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench.context import dockerfile
from comfy_capsule.packager.image import ImagePlan, LinkedModel, compose
from comfy_capsule.packager.uv import find_uv

CHECKOV = "checkov==3.3.30"
PLAN = ImagePlan(
    name="portrait",
    base="debian:bookworm-slim",
    python_version="3.11.7",
    python="carried",
    packs=("alpha",),
    models=(),
    linked=(LinkedModel(folder="vae", name="b.safetensors", sha256="cd" * 32, policy="mount"),),
    unproved=True,
    carried=True,
    overlay=True,
    prove=True,
    digests={"capsule": "c" * 64, "contract": "d" * 64, "environment": "e" * 64},
)


@pytest.mark.parametrize("change", [{}, {"python": "base", "prove": False, "linked": ()}])
def test_checkov_finds_nothing(change: dict[str, object], tmp_path: Path) -> None:
    plan = PLAN.model_copy(update=change)
    for name, text in {"Dockerfile": dockerfile(plan), **compose(plan)}.items():
        (tmp_path / name).write_text(text)
    # In an environment of its own: it brings a hundred distributions at versions that it wants.
    words = [find_uv(), "tool", "run", "--from", CHECKOV, "checkov", "--directory", tmp_path, "--skip-download"]
    done = subprocess.run([*words, "--output", "json"], capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    results = said if isinstance(said, list) else [said]
    failed = [f"{item['check_id']} {item['resource']}" for each in results for item in each["results"]["failed_checks"]]
    assert failed == []
    assert sum(each["summary"]["passed"] for each in results) > 100
