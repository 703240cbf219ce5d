"""Restore: plan → apply → verify. The exact ComfyUI of a capsule in a new folder, and the proof of it."""

from .plan import Plan, Step, plan_restore
from .restore import Restored, restore
from .table import Row, Table
from .verify import verify

__all__ = ["Plan", "Restored", "Row", "Step", "Table", "plan_restore", "restore", "verify"]
