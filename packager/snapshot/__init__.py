"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .apart import snapshot_apart
from .carried import parts_of, secret_carried
from .core import read_platform
from .folder import write_lock
from .models.choices import model_choices
from .packs import classes_by_pack
from .python.index import Indexes, Offers
from .python.lock import PythonLock, lock_python
from .python.torch_build import with_torch
from .snapshot import Snapshot, snapshot_install
from .system.libraries import packages_of_python
from .system.machine import missing_here, missing_libraries, missing_programs

__all__ = [
    "Indexes",
    "Offers",
    "PythonLock",
    "Snapshot",
    "classes_by_pack",
    "lock_python",
    "missing_here",
    "missing_libraries",
    "missing_programs",
    "model_choices",
    "packages_of_python",
    "parts_of",
    "read_platform",
    "secret_carried",
    "snapshot_apart",
    "snapshot_install",
    "with_torch",
    "write_lock",
]
