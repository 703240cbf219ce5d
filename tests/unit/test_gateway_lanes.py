"""How many executions a ComfyUI is handed at a time."""

from __future__ import annotations

import pytest

from comfy_capsule.packager.gateway.lanes import Lanes


@pytest.mark.parametrize(("most", "seconds", "room"), [(4, 5.0, 2), (4, 0.01, 4), (1, 0.01, 1), (1, 5.0, 1)])
def test_quick_runs_use_all_lanes_and_others_two(most: int, seconds: float, room: int) -> None:
    lanes = Lanes(most)
    lanes.ran(seconds)
    taken = 0
    while lanes.free:
        lanes.take()
        taken += 1
    assert (taken, lanes.idle) == (room, False)
    lanes.give_back()
    assert lanes.free
