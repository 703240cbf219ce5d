"""Figures that are a share of the workflows that ComfyUI ships: which of them have a fault is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence


def share_without(faults: Mapping[str, str], told: str) -> float:
    """The share of `faults` (workflow → its fault, or an empty text) that has none; each, and `told`, is printed."""
    for name, fault in faults.items():
        if fault:
            print(f"{name}: {fault}", file=sys.stderr)
    print(f"{len(faults)} workflows, {told}", file=sys.stderr)
    return sum(not fault for fault in faults.values()) / len(faults)


def tell_worst(name: str, share_of: Callable[[str], float], front_ends: Sequence[str]) -> None:
    """Print the figure `name`, the worst share over `front_ends` (none: the ComfyUI's own), and exit with 1 below 1."""
    share = min(share_of(version) for version in front_ends or [""])
    figure = {"name": name, "value": round(share, 4), "unit": "share", "goal": "= 1"}
    print(json.dumps({**figure, "met": share == 1}))
    sys.exit(share < 1)
