"""10,000 executions on real ComfyUIs while they and their gateways are killed: none lost, none run too often.

Twice: one gateway on SQLite, then three at one PostgreSQL. A kill is SIGKILL, of a gateway or of its ComfyUI, at a
random place of the work. ``executions-lost`` counts executions that are gone, lost, stuck, that failed without two
deaths of a worker, that ran more often than their attempts, or succeeded without a picture.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench.chaos import Report, chaos  # noqa: E402
from bench.postgres import postgres  # noqa: E402

EXECUTIONS, KILLS = 10_000, 30
SEED = int(os.environ.get("COMFY_CAPSULE_SEED") or random.SystemRandom().randrange(2**32))


def show(name: str, report: Report) -> int:
    """Tell a person, and give how many are wrong."""
    told = f"{name}: {dict(report.states)} in {report.seconds:.0f} s, kills {dict(report.kills)}"
    print(f"{told}, {report.repeated} ran twice", *report.wrong[:20], sep="\n", file=sys.stderr)
    return len(report.wrong)


def main() -> int:
    print(f"seed {SEED}", file=sys.stderr)
    work = {"executions": EXECUTIONS, "kills": KILLS, "seed": SEED}
    with tempfile.TemporaryDirectory() as folder:
        lost = show("SQLite, one gateway", chaos(Path(folder), gateways=1, **work))
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        lost += show(
            "PostgreSQL, three", chaos(Path(folder), gateways=3, database=server.new_database("chaos"), **work)
        )
    print(json.dumps({"name": "executions-lost", "value": lost, "unit": "executions", "goal": "= 0", "met": lost == 0}))
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
