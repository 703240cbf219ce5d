"""The snapshot: what the environment is, read from a ComfyUI install on disk."""

from .apart import snapshot_apart
from .carried import parts_of, secret_carried
from .core import read_platform
from .folder import write_lock
from .models.choices import model_choices
from .packs import classes_by_pack
from .python.index import Indexes, Offers
from .python.keep import InstalledNeeds, installed_needs, wheels_of_installed
from .python.lock import PythonLock, lock_python
from .python.retarget import offered_for
from .python.torch_build import with_torch
from .snapshot import Snapshot, snapshot_install
from .system.libraries import packages_of_python
from .system.machine import missing_here, missing_libraries, missing_programs
from .trees.bundle import files_with_tokens
from .trees.findings import some
from .trees.scratch import scratch_of
from .trees.work import LocalWork, local_work

__all__ = [
    "Indexes",
    "InstalledNeeds",
    "LocalWork",
    "Offers",
    "PythonLock",
    "Snapshot",
    "classes_by_pack",
    "files_with_tokens",
    "installed_needs",
    "local_work",
    "lock_python",
    "missing_here",
    "missing_libraries",
    "missing_programs",
    "model_choices",
    "offered_for",
    "packages_of_python",
    "parts_of",
    "read_platform",
    "scratch_of",
    "secret_carried",
    "snapshot_apart",
    "snapshot_install",
    "some",
    "wheels_of_installed",
    "with_torch",
    "write_lock",
]
