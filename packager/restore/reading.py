"""An install read without running anything of it: what `find_install` would say of the usual layout."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..capsule import Lock, safe_name
from ..comfy import Install, is_comfyui
from ..errors import BadInput, CapsuleError
from ..materialise import InstalledPython, RunningPython, find_python, site_packages

_VERSION = re.compile(r"""^__version__\s*=\s*["']([^"']+)["']""", re.MULTILINE)


def unexecuted_install(root: Path, lock: Lock) -> Install:
    """The ComfyUI in `root`, with its venv inside and every folder in its usual place.

    ComfyUI's own `folder_paths` is not asked: that would run code that came with a capsule. `python` of the answer
    is therefore an interpreter of this machine, not the venv's: even starting that one runs ``.pth`` files.

    Raises:
        BadInput: ``no-comfyui``, ``no-python``.
    """
    if not is_comfyui(root):
        raise BadInput("no-comfyui", f"{root} is not a ComfyUI.", "Give the folder that holds ComfyUI's main.py.")
    venv = next((root / name for name in (".venv", "venv") if (root / name / "pyvenv.cfg").is_file()), None)
    if venv is None:
        message = f"No Python environment was found in {root} (looked for .venv and venv)."
        raise BadInput("no-python", message, "Give --trust to let this ComfyUI say itself where its Python is.")
    said = _pyvenv(venv)
    python, version = _an_interpreter(lock), said.get("version_info", said.get("version", ""))
    return Install(
        root=root,
        python=python,
        python_version=".".join(version.split(".")[:3]),
        implementation=said.get("implementation", "cpython").lower(),
        base_prefix=Path(said.get("home", "")).parent,
        site_packages=(site_packages(venv),),
        version=_comfyui_version(root),
        custom_nodes=(root / "custom_nodes",),
        model_folders={model.folder: (root / "models" / safe_name(model.folder),) for model in lock.models},
        model_extensions={},
        input_dir=root / "input",
        output_dir=root / "output",
        temp_dir=root / "temp",
        user_dir=root / "user",
    )


def _pyvenv(venv: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _an_interpreter(lock: Lock) -> Path:
    try:
        return find_python(lock.platform.python, lock.platform.implementation, (RunningPython(), InstalledPython()))
    except CapsuleError:
        return Path(sys.executable)


def _comfyui_version(root: Path) -> str:
    file = root / "comfyui_version.py"
    found = _VERSION.search(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
    return found[1] if found else ""
