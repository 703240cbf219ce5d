"""What each mark sets, and what an App Mode selection means: found by the panel in the live graph of the real
front-end, and by the engine in the workflow as that front-end saves it. The share of the workflows that ComfyUI ships
on which both say the same; every widget of each is marked.

Arguments: the front-ends, the worst counts; without any the ComfyUI's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from shares import share_without, tell_worst  # noqa: E402

from bench.agreement import disagreements  # noqa: E402
from bench.templates import shipped_workflows  # noqa: E402


def share_of(front_end: str) -> float:
    """The share of the workflows that `front_end` opens on which panel and engine agree; disagreements are told."""
    faults, marks = disagreements(shipped_workflows(), front_end)
    return share_without(faults, f"{marks} marks, front-end {front_end or 'of its own'}")


if __name__ == "__main__":
    tell_worst("marks-agree", share_of, sys.argv[1:])
