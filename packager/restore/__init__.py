"""Restore: plan → apply → verify. The exact ComfyUI of a capsule in a new folder, and the proof of it."""

from .plan import COLUMNS as PLAN_COLUMNS
from .plan import Plan, Step, plan_restore
from .restore import Restored, restore
from .table import Row, Table
from .verify import verify

__all__ = ["PLAN_COLUMNS", "Plan", "Restored", "Row", "Step", "Table", "plan_restore", "restore", "verify"]
