"""The seed of this run's samples: ``COMFY_CAPSULE_SEED`` repeats an earlier run."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("COMFY_CAPSULE_SEED") or random.SystemRandom().randrange(2**32))

#: Whether every long matrix runs in full: `make soak` says so.
SOAK = bool(os.environ.get("COMFY_CAPSULE_SOAK"))
