"""Files of 1 GiB in the page cache, nothing remembered: our hashing, one `openssl dgst -sha256`, and comfy-pack's own.

``hash-cold-vs-openssl``: our bytes a second over cores × those of one openssl on one file. ``hash-cold-vs-comfy-pack``:
our bytes a second over those of ``comfy_pack.hash.async_batch_get_sha256``, called as comfy-pack calls it (an awaited
call with all paths), in a Python environment of its own that is made from the same Python. The three take turns, on the
same files; of each the best of five rounds counts, for what else the machine does only slows one down. The content is
random, written once and deleted. Where the memory is too small for 8 GiB of page cache, it is fewer files, and standard
error says so.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench import cache_root  # noqa: E402
from bench.peers import peer  # noqa: E402
from comfy_capsule.packager.cache import Cache  # noqa: E402
from comfy_capsule.packager.command import run  # noqa: E402
from comfy_capsule.packager.digest_cache import sha256_files  # noqa: E402

GIB = 1 << 30
FILES, ROUNDS = 8, 5
PEER = "comfy-pack==0.4.4"
THEIRS = """
import asyncio, json, sys, time
from comfy_pack.hash import async_batch_get_sha256
begun = time.perf_counter()
said = asyncio.run(async_batch_get_sha256(sys.argv[1:]))
print(json.dumps([time.perf_counter() - begun, said]))
"""


def files(folder: Path) -> list[Path]:
    """As many files of 1 GiB as fit into the free memory with 3 GiB to spare, 8 at most."""
    said = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    count = min(FILES, int(said["MemAvailable"].split()[0]) * 1024 // GIB - 3)
    if count < FILES:
        print(f"too little memory: {count} files of 1 GiB instead of {FILES}", file=sys.stderr)
    made = [folder / f"model-{number}.safetensors" for number in range(count)]
    for path in made:
        with path.open("wb") as file:
            for _ in range(16):
                file.write(os.urandom(GIB // 16))
            os.fsync(file.fileno())  # what is still to be written to the disk would be measured otherwise
    return made


def ours(paths: list[Path], cache: Path) -> tuple[float, list[str]]:
    """Seconds with an empty cache, and the digests."""
    cache.unlink(missing_ok=True)
    begun = time.perf_counter()
    done = sha256_files(paths, cache=Cache(cache))
    return time.perf_counter() - begun, [done[path].need() for path in paths]


def openssl(path: Path) -> tuple[float, str]:
    begun = time.perf_counter()
    said = run(["openssl", "dgst", "-sha256", "-r", path])
    return time.perf_counter() - begun, said.split()[0]


def theirs(python: Path, paths: list[Path], home: Path) -> tuple[float, list[str]]:
    """Seconds without the start of Python and its imports, and the digests; `home` is empty, so none is remembered."""
    home.mkdir()
    seconds, digests = json.loads(run([python, "-c", THEIRS, *paths], env={"CPACK_HOME": str(home)}).splitlines()[-1])
    return seconds, [digests[str(path)] for path in paths]


def main() -> int:
    python, cores = peer(PEER) / "python", len(os.sched_getaffinity(0))
    best = {"openssl": 0.0, "ours": 0.0, "comfy-pack": 0.0}  # GB/s
    with tempfile.TemporaryDirectory(dir=cache_root()) as place:
        paths = files(Path(place))
        ours(paths, Path(place, "cache"))  # everything is in the page cache, and the threads' code is warm
        for number in range(ROUNDS):
            single, digest = openssl(paths[number])
            mine, digests = ours(paths, Path(place, "cache"))
            their, others = theirs(python, paths, Path(place, f"home-{number}"))
            assert digests == others
            assert digests[number] == digest
            size = len(paths) * GIB / 1e9
            speeds = {"openssl": GIB / 1e9 / single, "ours": size / mine, "comfy-pack": size / their}
            print(
                {name: round(speed, 2) for name, speed in speeds.items()}, f"load {os.getloadavg()[0]}", file=sys.stderr
            )
            best = {name: max(best[name], speed) for name, speed in speeds.items()}
    met = show("hash-cold-vs-openssl", best["ours"] / best["openssl"] / cores, 0.9)
    return 0 if show("hash-cold-vs-comfy-pack", best["ours"] / best["comfy-pack"], 1.8) and met else 1


def show(name: str, value: float, goal: float) -> bool:
    value = round(value, 2)
    print(json.dumps({"name": name, "value": value, "unit": "ratio", "goal": f">= {goal}", "met": value >= goal}))
    return value >= goal


if __name__ == "__main__":
    sys.exit(main())
