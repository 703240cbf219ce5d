"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .index import find_uv
from .python import Distribution, lock_python, read_distributions
from .snapshot import Snapshot, snapshot_install

__all__ = ["Distribution", "Snapshot", "find_uv", "lock_python", "read_distributions", "snapshot_install"]
