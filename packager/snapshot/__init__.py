"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .apart import snapshot_apart
from .carried import parts_of, secret_carried
from .folder import write_lock
from .models.choices import model_choices
from .python.lock import PythonLock, lock_python
from .snapshot import Snapshot, snapshot_install
from .system.libraries import packages_of_python
from .system.machine import missing_here

__all__ = [
    "PythonLock",
    "Snapshot",
    "lock_python",
    "missing_here",
    "model_choices",
    "packages_of_python",
    "parts_of",
    "secret_carried",
    "snapshot_apart",
    "snapshot_install",
    "write_lock",
]
