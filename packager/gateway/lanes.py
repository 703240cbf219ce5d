"""How many executions one ComfyUI is handed at a time."""

from __future__ import annotations

_QUICK = 0.1  # seconds
_AHEAD = 2


class Lanes:
    """ComfyUI runs one and the next waits there. Quick ones end while the last one is still seen to: while runs are
    quick, all lanes are used. Others would only wait where nothing urgent gets ahead of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._quick = False

    @property
    def free(self) -> bool:
        """Whether there is room for one more."""
        return self._taken < (self._most if self._quick else min(self._most, _AHEAD))

    @property
    def idle(self) -> bool:
        return self._taken == 0

    def take(self) -> None:
        """One more; also where there is no room, for what is in ComfyUI's queue already."""
        self._taken += 1

    def give_back(self) -> None:
        self._taken -= 1

    def ran(self, seconds: float) -> None:
        """How long the last run took."""
        self._quick = seconds < _QUICK
