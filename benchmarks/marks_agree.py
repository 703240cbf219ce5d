"""What each mark sets, and what an App Mode selection means: found by the panel in the live graph of the real
front-end, and by the engine in the workflow as that front-end saves it. The share of the workflows that ComfyUI ships
on which both say the same; every widget of each is marked.

Arguments: the front-ends, the worst counts; without any the ComfyUI's own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench.agreement import disagreements  # noqa: E402
from bench.templates import shipped_workflows  # noqa: E402


def share_of(front_end: str) -> float:
    """The share of the workflows that `front_end` opens on which panel and engine agree; disagreements are told."""
    faults, marks = disagreements(shipped_workflows(), front_end)
    for name, fault in faults.items():
        if fault:
            print(f"{front_end} {name}: {fault}", file=sys.stderr)
    print(f"{front_end} {len(faults)} workflows, {marks} marks", file=sys.stderr)
    return sum(not fault for fault in faults.values()) / len(faults)


def main(front_ends: list[str]) -> None:
    share = min(share_of(version) for version in front_ends or [""])
    figure = {"name": "marks-agree", "value": round(share, 4), "unit": "share", "goal": "= 1"}
    print(json.dumps({**figure, "met": share == 1}))
    sys.exit(share < 1)


if __name__ == "__main__":
    main(sys.argv[1:])
