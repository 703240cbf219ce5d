"""The test bench: a real ComfyUI 0.30.0 with packs, models and workflows, for tests, benchmarks and the demo."""

from __future__ import annotations

from .build import MODELS, VERSION
from .cache import cache_root
from .comfyui import bench_home, bench_install, bench_origins, fresh_install, make_own
from .models import write_esrgan
from .packs import Commit, Pack, bench_packs, build_bench_pack, build_pack, clone_pack
from .pictures import PICTURE, example_picture, pixels, png
from .serving import RunningComfy, run_graph, running
from .workflows import PLAIN, UPSCALE, Workflow

__all__ = [
    "MODELS",
    "PICTURE",
    "PLAIN",
    "UPSCALE",
    "VERSION",
    "Commit",
    "Pack",
    "RunningComfy",
    "Workflow",
    "bench_home",
    "bench_install",
    "bench_origins",
    "bench_packs",
    "build_bench_pack",
    "build_pack",
    "cache_root",
    "clone_pack",
    "example_picture",
    "fresh_install",
    "make_own",
    "pixels",
    "png",
    "run_graph",
    "running",
    "write_esrgan",
]
