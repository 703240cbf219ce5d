"""How long the everyday build takes after a change of the workflow: from the capsule to the loaded image."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench import bench_install
from bench.baseimage import base_image
from bench.engine import engine
from bench.images import built, upscale_capsule

GOAL = 10.0  # seconds
TAG = "comfy-capsule-bench:rebuild"

comfyui = bench_install()
with tempfile.TemporaryDirectory() as scratch, engine() as docker:
    capsule = upscale_capsule(comfyui, Path(scratch))
    base, taken = base_image(docker), []
    for number in range(4):
        workflow = {**capsule.workflow, "extra": {"benchmark": number}}
        changed = replace(capsule, workflow=workflow, sealed="")
        taken.append(built(changed, docker, base, comfyui, TAG).seconds)
    docker.docker("image", "rm", TAG)

seconds = round(median(taken[1:]), 1)  # the first fills the caches
print(json.dumps({"name": "image-rebuild-s", "value": seconds, "unit": "s", "goal": "<= 10", "met": seconds <= GOAL}))
