"""The panel, in the live graph, and the engine, in the saved one, say the same of real workflows: what every mark sets,
and what ComfyUI's App Mode selection means, which the front-end's own builder says, too.

A sample of the workflows that ComfyUI ships, drawn by a seed that is printed, and all that have an App Mode selection;
``make soak`` compares all of them on more front-ends.
"""

from __future__ import annotations

import random

import pytest

from bench.agreement import disagreements
from bench.seed import SEED
from bench.templates import shipped_workflows
from browser.frontends import versions

SAMPLE = 25


@pytest.mark.parametrize("front_end", versions())
def test_the_panel_and_the_engine_agree(front_end: str) -> None:
    every = shipped_workflows()
    app_mode = [name for name, workflow in every.items() if "linearData" in workflow.get("extra", {})]
    assert len(app_mode) == 28
    drawn = random.Random(SEED).sample(sorted(every.keys() - set(app_mode)), SAMPLE)
    faults, marks = disagreements({name: every[name] for name in [*app_mode, *drawn]}, front_end)
    print(f"\n{len(faults)} workflows, {marks} marks; seed {SEED}")
    assert {name: fault for name, fault in faults.items() if fault} == {}
    assert len(faults) >= len(app_mode) + SAMPLE - 1, "newer front-ends stop at one of them"
    assert marks > 1000
