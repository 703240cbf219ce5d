"""Sealing: what a restore or an image needs from elsewhere goes into the capsule, so that no origin is asked again."""

from .at_hand import checkouts_of, model_folders_of
from .contents import What
from .plan import SealingPlan, plan_sealing
from .seal import seal

__all__ = ["SealingPlan", "What", "checkouts_of", "model_folders_of", "plan_sealing", "seal"]
