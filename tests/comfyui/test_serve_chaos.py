"""Kills at random, on real processes: a sample of what ``benchmarks/executions_lost.py`` does ten thousand times."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.chaos import chaos
from bench.postgres import postgres
from bench.seed import SEED


@pytest.mark.parametrize("gateways", [1, 3], ids=["sqlite", "postgresql"])
def test_none_is_lost_or_run_more_often_than_it_may(tmp_path: Path, gateways: int) -> None:
    print(f"seed {SEED}")
    work = {"executions": 200, "gateways": gateways, "kills": 5, "seed": SEED}
    if gateways == 1:
        report = chaos(tmp_path, **work)
    else:
        with postgres() as server:
            report = chaos(tmp_path, **work, database=server.new_database("chaos"))
    assert report.wrong == [], f"seed {SEED}"
    assert sum(report.kills.values()) >= 1
    assert sum(report.states.values()) == 200
