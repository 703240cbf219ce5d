"""The trouble install, built: what no other tool carries is in the image, and proved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench import UPSCALE
from bench.engine import Engine
from bench.trouble import trouble_graph, trouble_install
from comfy_capsule.packager.comfy import boot_object_info, find_install
from comfy_capsule.packager.export import make_capsule
from comfy_capsule.packager.image import Docker, build
from comfy_capsule.packager.progress import silent

TAG = "comfy-capsule-test:trouble-install"


@pytest.mark.sampled
def test_its_image_is_proved_with_every_pack(engine: Engine, base: str, tmp_path: Path) -> None:
    comfy = trouble_install(tmp_path / "trouble")
    found = find_install(comfy)
    capsule = make_capsule(found, UPSCALE.ui, trouble_graph(), boot_object_info(found), name="upscale")
    models = []
    for folder in (comfy / "models", comfy.parent / "shared/upscale_models"):
        models.append(tmp_path / folder.name)
        shutil.copytree(folder, models[-1])
    shutil.rmtree(comfy.parent)  # nothing of where it came from is asked
    build(capsule, TAG, engine=Docker(engine.environment), base=base, models_from=models, packs="all", report=silent)
    try:
        said = engine.docker("run", "--rm", "--network", "none", "--entrypoint", "cat", TAG, "/proof.json")
    finally:
        engine.docker("image", "rm", TAG)
    proof = json.loads(said)
    assert proof["equal"] is True
    assert {row["subject"] for row in proof["rows"] if row["kind"] == "pack"} == {p.name for p in capsule.lock.packs}
