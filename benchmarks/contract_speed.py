"""A contract of a 500-node graph: its schema derived, and parameters bound into it, in one process, best of several.

250 chains of a node with eight widgets and one that saves; every widget is an input (2,000 in all), every call sends a
tenth of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from comfy_capsule.packager.contract import Binder, build_contract, parameters_schema  # noqa: E402
from graphs import INFO  # noqa: E402

CHAINS, ROUNDS = 250, 30
VALUES = {
    "seed": 7, "steps": 20, "cfg": 7, "sampler_name": "euler", "model_name": "sd\\one.safetensors",
    "tiled": False, "prompt": "a cat",
}  # fmt: skip


def graph() -> tuple[dict[str, Any], dict[str, Any]]:
    """The editor graph, everything marked, and the API graph."""
    api: dict[str, Any] = {}
    nodes = []
    for number in range(CHAINS):
        first, last = str(2 * number), str(2 * number + 1)
        api[first] = {"class_type": "Sampler", "inputs": {**VALUES, "image": [last, 0]}}
        api[last] = {"class_type": "SaveImage", "inputs": {"images": [first, 0], "filename_prefix": "x"}}
        marks = {name: {"name": f"{name}_{number}"} for name in VALUES}
        nodes.append({"id": int(first), "type": "Sampler", "properties": {"capsule": {"v": 1, "inputs": marks}}})
        nodes.append({"id": int(last), "type": "SaveImage", "properties": {}})
    return {"nodes": nodes, "links": []}, api


def best(work: Callable[[], object]) -> float:
    """Milliseconds of the quickest of several rounds."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken) * 1000


def main() -> None:
    ui, api = graph()
    contract = build_contract("large", ui, api, INFO)
    binder = Binder(contract, api)
    sent = {each.name: each.default for each in contract.inputs[::10]}
    print(f"{len(api)} nodes, {len(contract.inputs)} inputs, {len(sent)} sent", file=sys.stderr)
    figures = (
        ("bind-ms", best(lambda: binder.bind(sent)), 2),
        ("schema-ms", best(lambda: parameters_schema(contract)), 50),
    )
    for name, value, goal in figures:
        shown = {"name": name, "value": round(value, 3), "unit": "ms", "goal": f"<= {goal}", "met": value <= goal}
        print(json.dumps(shown))


if __name__ == "__main__":
    main()
