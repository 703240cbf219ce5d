"""``snapshot-warm-s`` and ``snapshot-warm-large-s``: a whole snapshot of a large install that was read once before.

The call that the panel's export makes inside ComfyUI (`snapshot_install`, its modules loaded), each time in a fresh
process; the median of five. The first reading fills a cache of its own, and every later one must give the same lock.
The package index stays up for the first one only. ``python snapshot_warm.py PACKS DISTRIBUTIONS MODELS`` profiles one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent / "tests"), str(Path(__file__).parent)]

from warm_install import graph, index, object_info, warm_install  # noqa: E402

from comfy_capsule.packager.capsule import lock_toml  # noqa: E402
from comfy_capsule.packager.comfy import find_install  # noqa: E402
from comfy_capsule.packager.snapshot import snapshot_install  # noqa: E402

ROUNDS = 5
FIGURES = (("snapshot-warm-s", (60, 250, 500), 1.0), ("snapshot-warm-large-s", (300, 250, 5000), 3.0))


def inside(packs: int, distributions: int, models: int) -> dict[str, Any]:
    """In a process of its own: one snapshot, its seconds and what it says."""
    install = find_install(warm_install(packs, distributions, models) / "ComfyUI")
    nodes, api = object_info(packs, models), graph(models)
    begun = time.perf_counter()
    taken = snapshot_install(install, graph=api, object_info=nodes)
    seconds = time.perf_counter() - begun
    assert len(taken.lock.packs) == packs
    assert len(taken.lock.models) == models
    assert taken.pylock.count("[[packages]]") >= distributions
    return {"seconds": seconds, "said": lock_toml(taken.lock) + taken.pylock}


def measure(size: tuple[int, int, int]) -> float:
    """Seconds, the median."""
    home = warm_install(*size)
    times, first = [], ""
    with tempfile.TemporaryDirectory() as cache:
        with index(home / "index") as (address, asked):
            environment = {**os.environ, "XDG_CACHE_HOME": cache, "UV_DEFAULT_INDEX": address}
            for number in range(ROUNDS + 1):
                argv = [sys.executable, __file__, "--inside", *map(str, size)]
                done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                said = json.loads(done.stdout)
                first = first or said["said"]
                assert said["said"] == first, "two snapshots of the same install differ"
                times.append(said["seconds"])
                if number == 0:
                    cold, asked.asked = asked.asked, 0
    shown = " ".join(f"{seconds:.2f}" for seconds in times)
    print(f"{size}: {shown} s; the index was asked {cold} times, then {asked.asked}", file=sys.stderr)
    return statistics.median(times[1:])


def main() -> int:
    missed = 0
    for name, size, goal in FIGURES:
        value = round(measure(size), 2)
        met = value <= goal
        print(json.dumps({"name": name, "value": value, "unit": "s", "goal": f"<= {goal}", "met": met}), flush=True)
        missed += not met
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        json.dump(inside(*map(int, sys.argv[2:])), sys.stdout)
    else:
        sys.exit(main())
