"""Of timed values."""

from __future__ import annotations

import statistics


def percentile(values: list[float], percent: int) -> float:
    """The value below which so many of a hundred are, interpolated."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
