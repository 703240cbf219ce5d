"""Whether two clean engines make one image of one capsule, how long the first build takes, and one after a change."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench import bench_install
from bench.baseimage import TAG, base_image
from bench.cache import cache_root
from bench.engine import engine
from bench.images import built, upscale_capsule
from bench.registry import registry
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.image import BuiltImage

FIRST, REBUILD = 240.0, 20.0  # seconds

comfyui = bench_install()


def show(name: str, value: float, unit: str, goal: str, met: bool) -> None:
    print(json.dumps({"name": name, "value": value, "unit": unit, "goal": goal, "met": met}), flush=True)


def in_a_clean_engine(capsule: Capsule, home: Path, name: str) -> list[BuiltImage]:
    """The image, made in an engine that has nothing, on a base in the registry `name`; then those after a change."""
    with engine(home) as docker:
        base = f"{name}/base:1"
        docker.docker("tag", base_image(docker), base)
        docker.docker("push", "--quiet", base)
        docker.docker("rmi", base, TAG)
        images = [built(capsule, docker, base, comfyui, f"{name}/upscale:1", reproducible=True, no_cache=True)]
        for number in range(3):
            changed = replace(capsule, workflow={**capsule.workflow, "extra": {"number": number}}, sealed="")
            images.append(built(changed, docker, base, comfyui, f"{name}/upscale:2", reproducible=True))
    return images


with tempfile.TemporaryDirectory(dir=cache_root()) as scratch:
    capsule = upscale_capsule(comfyui, Path(scratch))
    with registry(Path(scratch) / "registry") as name:
        made = [in_a_clean_engine(capsule, Path(scratch) / f"engine-{number}", name) for number in (1, 2)]

equal = float(len({images[0].digest for images in made}) == 1)
show("image-digest-equal", equal, "share", "= 1", equal == 1)
first = round(min(images[0].seconds for images in made), 1)
show("image-first-build-s", first, "s", "<= 240", first <= FIRST)
again = round(median(image.seconds for images in made for image in images[1:]), 1)
show("image-rebuild-reproducible-s", again, "s", "<= 20", again <= REBUILD)
