"""Every benchmark, or those whose name begins so: ``make bench``, ``make bench NAME=hash``.

Each prints its figures as one JSON line each; the exit status is 1 if a goal is missed or a benchmark fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

# Which file gives which figures: asked for by name, only those run.
FIGURES = {
    "pack_import.py": ("pack-import-ms",),
    "models_found.py": ("models-precision", "models-recall"),
    "templates_roundtrip.py": ("templates-roundtrip",),
    "contract_speed.py": ("bind-ms", "schema-ms"),
    "demo_second_run.py": ("demo-second-run-s",),
    "image_rebuild.py": ("image-rebuild-s",),
    "hash_cold.py": ("hash-cold-vs-openssl", "hash-cold-vs-comfy-pack"),
    "snapshot_warm.py": ("snapshot-warm-s", "snapshot-warm-large-s"),
    "snapshot_stall.py": ("snapshot-loop-stall-ms",),
    "verify_warm.py": ("verify-warm-s",),
    "gateway_latency.py": ("gateway-p50-ratio", "gateway-p99-ratio"),
    "gateway_load.py": ("gateway-waiting-mb", "gateway-listen-s", "gateway-throughput-ratio"),
    "gateway_large.py": ("gateway-large-copies",),
    "gateway_proxy.py": ("gateway-vs-proxy-p50", "gateway-vs-proxy-p99"),
}


def main(name: str) -> int:
    """Run the benchmarks that give a figure whose name begins with `name`; the exit status."""
    missed = 0
    for file, figures in FIGURES.items():
        if any(figure.startswith(name) for figure in figures):
            done = subprocess.run([sys.executable, HERE / file], stdout=subprocess.PIPE, text=True, check=False)
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            shown = [line for line in lines if json.loads(line)["name"].startswith(name)]
            print("\n".join(shown), flush=True)
            missed += done.returncode != 0 or not lines or any(not json.loads(line)["met"] for line in shown)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
