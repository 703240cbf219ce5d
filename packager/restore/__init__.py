"""Restore: plan → apply → verify. The exact ComfyUI of a capsule in a new folder, and the proof of it."""

from .compare import file_rows, model_rows, node_rows, platform_rows, python_rows, some, unproved_python
from .plan import COLUMNS as PLAN_COLUMNS
from .plan import Plan, Step, plan_restore
from .reading import unexecuted_install
from .restore import Restored, restore
from .table import Row, Table, row
from .verify import verify

__all__ = [
    "PLAN_COLUMNS",
    "Plan",
    "Restored",
    "Row",
    "Step",
    "Table",
    "file_rows",
    "model_rows",
    "node_rows",
    "plan_restore",
    "platform_rows",
    "python_rows",
    "restore",
    "row",
    "some",
    "unexecuted_install",
    "unproved_python",
    "verify",
]
