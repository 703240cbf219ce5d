"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .folder import write_lock
from .models import slashed
from .python import Distribution, lock_python, read_distributions
from .snapshot import Snapshot, snapshot_install

__all__ = ["Distribution", "Snapshot", "lock_python", "read_distributions", "slashed", "snapshot_install", "write_lock"]
