"""A warm restore of the bench's ComfyUI, against the same content installed by hand with uv and git.

By hand: ``uv venv``, ``uv pip install --require-hashes`` from a warm cache, ``git clone --local`` of ComfyUI and each
pack; no proof of anything. Both run after one restore that fills the caches, and take turns. The seconds of each
phase go to standard error, and so does by hand with ``--link-mode copy``, which is what a restore does on a file system
that cannot share blocks: uv's own way there is hard links into its cache, where one edited install damages the next.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench import PLAIN, bench_install  # noqa: E402
from bench.git import git  # noqa: E402
from comfy_capsule.packager.capsule import Capsule  # noqa: E402
from comfy_capsule.packager.comfy import boot_object_info, find_install  # noqa: E402
from comfy_capsule.packager.command import run  # noqa: E402
from comfy_capsule.packager.export import make_capsule  # noqa: E402
from comfy_capsule.packager.materialise import ModelStore, read_pylock  # noqa: E402
from comfy_capsule.packager.restore import restore  # noqa: E402
from comfy_capsule.packager.uv import find_uv  # noqa: E402

ROUNDS, GOAL = 2, 1.3


def requirements(pylock: str) -> str:
    """What `pylock` locks, as pip takes it: ``name==version`` with the hashes of its wheels."""
    lines = []
    for item in read_pylock(pylock).pylock.packages:
        hashes = sorted({f"--hash=sha256:{wheel.hashes['sha256']}" for wheel in item.wheels or ()})
        lines.append(" ".join([f"{item.name}=={item.version}", *hashes]))
    return "\n".join(lines) + "\n"


def by_hand(capsule: Capsule, folder: Path, *options: str) -> float:
    """Seconds."""
    wanted = folder.with_suffix(".txt")
    wanted.write_text(requirements(capsule.pylock))
    start = time.monotonic()
    git("clone", "--quiet", "--local", capsule.lock.comfyui.origin, folder, cwd=folder.parent)
    for pack in capsule.lock.packs:
        git("clone", "--quiet", "--local", pack.origin, folder / "custom_nodes" / pack.name, cwd=folder)
    run([find_uv(), "venv", "--quiet", "--python", capsule.lock.platform.python, folder / ".venv"])
    words = ["--quiet", "--no-deps", "--require-hashes", "--python", folder / ".venv", *options]
    run([find_uv(), "pip", "install", *words, "--requirement", wanted])
    seconds = time.monotonic() - start
    shutil.rmtree(folder)
    return seconds


def restored(capsule: Capsule, folder: Path, store: ModelStore) -> dict[str, float]:
    """Seconds by phase."""
    seconds = restore(capsule, folder, store=store).seconds
    shutil.rmtree(folder)
    return seconds


def main() -> int:
    install = find_install(bench_install())
    capsule = make_capsule(install, PLAIN.ui, PLAIN.api, boot_object_info(install), name="plain")
    with tempfile.TemporaryDirectory() as place:
        store, rounds, hands, copies = ModelStore(Path(place, "store")), [], [], []
        restored(capsule, Path(place, "warm"), store)
        for number in range(ROUNDS):
            hands.append(by_hand(capsule, Path(place, f"hand-{number}")))
            copies.append(by_hand(capsule, Path(place, f"copy-{number}"), "--link-mode", "copy"))
            rounds.append(restored(capsule, Path(place, f"ours-{number}"), store))
    phases = {phase: statistics.median(seconds[phase] for seconds in rounds) for phase in rounds[0]}
    hand, copy = statistics.median(hands), statistics.median(copies)
    print(f"restore {phases}; by hand {hand:.1f} s, by hand with copies {copy:.1f} s", file=sys.stderr)
    ratio = round(phases["total"] / hand, 2)
    figure = {"name": "restore-warm-ratio", "value": ratio, "unit": "ratio", "goal": f"<= {GOAL}", "met": ratio <= GOAL}
    print(json.dumps(figure))
    return 0 if figure["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
