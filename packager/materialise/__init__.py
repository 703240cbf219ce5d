"""From a capsule to bytes on disk: source trees, Python, models, inputs; used by restore and image alike."""

from .checkout import check_out, fetch_commit, new_repository, remove_tree, tagged_commit
from .download import download as download_to
from .fit import Derived, Translation, derived, fitted, lock_platform, translation
from .interface import ModelSource, PythonSource, Sink
from .interpreters import PYTHON_SOURCES, InstalledPython, ManagedPython, RunningPython, find_python
from .local_wheels import LOCAL_WHEELS, gather_wheels, is_wheel_name, locked_wheels, names_at_hand, wheel_of_pin
from .model_store import STORED_TIME, ModelStore, link_or_copy, stored_name
from .models import model_sources, obtain_models, place_inputs, place_models
from .overlay import lay_over, removed_names
from .paths import place
from .pylock import LockedPython, read_pylock
from .python import (
    install_python,
    installed_versions,
    refuse_not_carried,
    refuse_python,
    site_packages,
    venv_python,
)
from .sources import Packs, Sources, chosen_packs, materialise_sources, pack_place, refuse_sources
from .used_files import as_model, carried_bytes, exclude_rule, place_used_files, used_files, used_place
from .uvlock import OWN_INDEX, uv_lock_offline

__all__ = [
    "LOCAL_WHEELS",
    "OWN_INDEX",
    "PYTHON_SOURCES",
    "STORED_TIME",
    "Derived",
    "InstalledPython",
    "LockedPython",
    "ManagedPython",
    "ModelSource",
    "ModelStore",
    "Packs",
    "PythonSource",
    "RunningPython",
    "Sink",
    "Sources",
    "Translation",
    "as_model",
    "carried_bytes",
    "check_out",
    "chosen_packs",
    "derived",
    "download_to",
    "exclude_rule",
    "fetch_commit",
    "find_python",
    "fitted",
    "gather_wheels",
    "install_python",
    "installed_versions",
    "is_wheel_name",
    "lay_over",
    "link_or_copy",
    "lock_platform",
    "locked_wheels",
    "materialise_sources",
    "model_sources",
    "names_at_hand",
    "new_repository",
    "obtain_models",
    "pack_place",
    "place",
    "place_inputs",
    "place_models",
    "place_used_files",
    "read_pylock",
    "refuse_not_carried",
    "refuse_python",
    "refuse_sources",
    "remove_tree",
    "removed_names",
    "site_packages",
    "stored_name",
    "tagged_commit",
    "translation",
    "used_files",
    "used_place",
    "uv_lock_offline",
    "venv_python",
    "wheel_of_pin",
]
