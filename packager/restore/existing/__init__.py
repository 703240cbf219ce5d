"""Restore into an existing ComfyUI: target → plan → build → journal → verify. It ends whole or not at all."""

from .draft import Mode
from .plan import ExistingPlan, plan_existing
from .restore import Ended, RestoredExisting, refuse_against, restore_existing, resume, rollback

__all__ = [
    "Ended",
    "ExistingPlan",
    "Mode",
    "RestoredExisting",
    "plan_existing",
    "refuse_against",
    "restore_existing",
    "resume",
    "rollback",
]
