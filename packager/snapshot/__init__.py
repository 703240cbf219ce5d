"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .models import slashed
from .python import PythonLock, lock_python
from .snapshot import Snapshot, snapshot_install

__all__ = ["PythonLock", "Snapshot", "lock_python", "slashed", "snapshot_install"]
