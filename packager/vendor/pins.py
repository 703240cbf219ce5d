"""Pins of which a lock knows no file, such as the pip that Debian puts into a venv: what the index has of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from ..capsule import Capsule, Finding, Vendored
from ..materialise import wheel_of_pin
from ..snapshot import offered_for
from .contents import WantedPin, WantedWheel, not_vendored, wanted_wheel


def kept_pins(capsule: Capsule, pins: Iterable[WantedPin]) -> dict[str, Vendored]:
    """The wheels of `pins` that the capsule has already, by entry."""
    names = {name for wanted in pins if (found := wheel_of_pin(wanted.pin, capsule.vendored)) for name in found[:1]}
    return {entry: item for entry, item in capsule.vendored.items() if entry.rpartition("/")[2] in names}


def wheels_of_pins(
    capsule: Capsule, pins: Sequence[WantedPin], taken: Iterable[str]
) -> tuple[list[WantedWheel], list[Finding]]:
    """The wheels that the indexes have of `pins`, and a finding for each pin of which they have none.

    Args:
        taken: the entries of other wheels.
    """
    wheels: list[WantedWheel] = []
    findings: list[Finding] = []
    entries = set(taken)
    for platform in dict.fromkeys(wanted.platform for wanted in pins):
        here = [wanted.pin for wanted in pins if wanted.platform == platform]
        system, _, machine = platform.partition("-")
        offered = offered_for(here, system, machine, capsule.lock.platform.python, Path(sys.executable))
        for pin in here:
            wheel = offered.get(canonicalize_name(pin.partition("==")[0]))
            if wheel is None:
                findings.append(_nowhere(pin))
            else:
                wheels.append(wanted_wheel(wheel, entries))
                entries.add(wheels[-1].entry)
    return wheels, findings


def _nowhere(pin: str) -> Finding:
    message = f"No file of {pin} is known, and the package index gives none that can be put into the capsule."
    return not_vendored(pin, message, "Seal it where that index can be asked, or remove it and export again.")
