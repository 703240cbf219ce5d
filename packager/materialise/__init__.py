"""From a capsule to bytes on disk: source trees, Python, models, inputs; used by restore and image alike."""

from .interface import ModelSource, PythonSource
from .interpreters import PYTHON_SOURCES, InstalledPython, ManagedPython, RunningPython, find_python
from .paths import place
from .python import (
    LockedPython,
    install_python,
    installed_versions,
    read_pylock,
    refuse_python,
    site_packages,
    venv_python,
)
from .sources import Packs, Sources, chosen_packs, materialise_sources, pack_folder, refuse_sources

__all__ = [
    "PYTHON_SOURCES",
    "InstalledPython",
    "LockedPython",
    "ManagedPython",
    "ModelSource",
    "Packs",
    "PythonSource",
    "RunningPython",
    "Sources",
    "chosen_packs",
    "find_python",
    "install_python",
    "installed_versions",
    "materialise_sources",
    "pack_folder",
    "place",
    "read_pylock",
    "refuse_python",
    "refuse_sources",
    "site_packages",
    "venv_python",
]
