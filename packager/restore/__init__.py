"""Restore: plan → apply → verify. The exact ComfyUI of a capsule in a new folder or an existing one, and the proof."""

from .compare import file_rows, model_rows, node_rows, platform_rows, python_rows, some, unproved_python
from .existing import (
    Ended,
    ExistingPlan,
    Mode,
    RestoredExisting,
    plan_existing,
    refuse_against,
    restore_existing,
    resume,
    rollback,
)
from .plan import Plan, Step, plan_restore
from .reading import unexecuted_install
from .restore import Restored, restore
from .table import Row, Table, row
from .verify import verify

__all__ = [
    "Ended",
    "ExistingPlan",
    "Mode",
    "Plan",
    "Restored",
    "RestoredExisting",
    "Row",
    "Step",
    "Table",
    "file_rows",
    "model_rows",
    "node_rows",
    "plan_existing",
    "plan_restore",
    "platform_rows",
    "python_rows",
    "refuse_against",
    "restore",
    "restore_existing",
    "resume",
    "rollback",
    "row",
    "some",
    "unexecuted_install",
    "unproved_python",
    "verify",
]
