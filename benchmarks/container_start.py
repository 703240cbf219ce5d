"""A container's start until it is ready, over a boot of the ComfyUI in it; and the image's size, by layer."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench import bench_install
from bench.baseimage import base_image
from bench.engine import Engine, engine
from bench.images import HARDENED, built, upscale_capsule

START, SIZE = 1.2, 1.10
TAG = "comfy-capsule-bench:start"
ROUNDS = 5
COMFYUI = (
    *("/comfyui/main.py", "--cpu", "--listen", "0.0.0.0", "--port", "8000", "--disable-auto-launch"),
    *("--output-directory", "/state/o", "--temp-directory", "/state/t", "--user-directory", "/state/u"),
    *("--database-url", "sqlite:///:memory:"),
)

# The bytes of what was put together, as it lies there before anything is compiled: a line each.
PARTS = r"""
import csv, glob, os
def trees(*roots):
    return sum(os.lstat(os.path.join(at, name)).st_size for root in roots for at, _, names in os.walk(root)
               for name in names if not name.endswith('.pyc'))
def wheels(site):
    rows = (row for record in glob.glob(site + '/*.dist-info/RECORD') for row in csv.reader(open(record)))
    return sum(int(row[2]) for row in rows if len(row) > 2 and row[2])
print(wheels(glob.glob('/opt/venv/lib/*/site-packages')[0]), wheels(glob.glob('/gateway/lib/*/site-packages')[0]),
      trees('/comfyui'), trees('/opt/python'), sep='\n')
"""


def seconds(docker: Engine, path: str, *words: str) -> float:
    """From the start of a container with `words` until `path` answers with 200."""
    name = docker.docker("create", "-p", "127.0.0.1::8000", *HARDENED, *words).strip()
    try:
        begun = time.monotonic()
        docker.docker("start", name)
        url = f"http://{docker.docker('port', name, '8000').split()[0]}{path}"
        while time.monotonic() - begun < 120:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return time.monotonic() - begun
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise SystemExit(docker.docker("logs", name))
    finally:
        docker.docker("rm", "--force", "--volumes", name)


def size_ratio(docker: Engine, base: str) -> float:
    """The image over what it was put together from; the layers are told on standard error."""
    sizes = {tag: int(docker.docker("image", "inspect", "-f", "{{.Size}}", tag)) for tag in (base, TAG)}
    said = docker.docker("run", "--rm", "--entrypoint", "/opt/venv/bin/python", TAG, "-c", PARTS)
    wheels, gateway, trees, python = map(int, said.split())
    parts = {"base": sizes[base], "wheels": wheels, "gateway": gateway, "trees and models": trees, "Python": python}
    for name, count in parts.items():
        print(f"{count / 1e6:9.1f} MB {name}", file=sys.stderr)
    print(f"{sizes[TAG] / 1e6:9.1f} MB image, by layer:", file=sys.stderr)
    print(docker.docker("history", "--format", "{{.Size}}\t{{.CreatedBy}}", TAG), file=sys.stderr)
    return sizes[TAG] / sum(parts.values())


comfyui = bench_install()
with tempfile.TemporaryDirectory() as scratch, engine() as docker:
    capsule = upscale_capsule(comfyui, Path(scratch))
    base = base_image(docker)
    built(capsule, docker, base, comfyui, TAG)
    own, ready = [], []
    for _ in range(ROUNDS):
        own.append(seconds(docker, "/system_stats", "--entrypoint", "/opt/venv/bin/python", TAG, *COMFYUI))
        ready.append(seconds(docker, "/readyz", "-e", "COMFY_CAPSULE_API_KEYS=a-key-of-the-benchmark", TAG))
    size = round(size_ratio(docker, base), 3)
    docker.docker("image", "rm", TAG)

print(f"ComfyUI answers after {median(own):.2f} s, the gateway is ready after {median(ready):.2f} s", file=sys.stderr)
ratio = round(median(ready) / median(own), 3)
for name, value, goal in (("container-cold-start-ratio", ratio, START), ("image-size-ratio", size, SIZE)):
    print(json.dumps({"name": name, "value": value, "unit": "ratio", "goal": f"<= {goal:g}", "met": value <= goal}))
