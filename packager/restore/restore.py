"""Restore: the exact ComfyUI of a capsule in a new folder, with a table that proves it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule
from ..materialise import ModelStore, Packs
from ..progress import Report, silent
from .apply import apply
from .plan import plan_restore
from .table import Table
from .verify import UNTRUSTED, verify_nodes


class Restored(BaseModel):
    """The restored ComfyUI.

    Attributes:
        path: its folder, the one of ``main.py``; ``.venv`` and the start script are in it.
        table: every comparison with the capsule.
        seconds: of each phase, and ``total``.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    table: Table
    seconds: dict[str, float]


def restore(
    capsule: Capsule,
    into: Path,
    *,
    trust: bool = False,
    packs: Packs = "all",
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
    report: Report = silent,
) -> Restored:
    """Make the ComfyUI of `capsule` in the new or empty folder `into`.

    Its files are proved before the folder appears. With `trust` it is then booted once, at its place, and its node
    definitions are compared; a difference there leaves the folder, whose files are the capsule's, and is in the table.

    Args:
        models_from: folders to look in for models, by size and sha256.
        store: the model store; the user's own when not given.

    Raises:
        BadInput, Blocked, CapsuleError: as `plan_restore` and `apply`; the target is untouched then.
    """
    start = time.monotonic()
    plan_restore(capsule, into, trust=trust, packs=packs, models_from=models_from, store=store)
    applied = apply(capsule, into, report, trust=trust, packs=packs, models_from=models_from, store=store)
    seconds, table = dict(applied.seconds), applied.table
    if trust:
        booting = time.monotonic()
        table = verify_nodes(capsule, applied.path, table, report=report)
        seconds["boot"] = round(time.monotonic() - booting, 3)
    else:
        table = table.model_copy(update={"unproved": (*table.unproved, UNTRUSTED)})
    seconds["total"] = round(time.monotonic() - start, 3)
    return Restored(path=applied.path, table=table, seconds=seconds)
