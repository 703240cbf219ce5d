"""A ComfyUI on disk: which Python runs it, and where its packs, models and folders are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..command import run
from ..errors import BadInput, CapsuleError

_MARKS = ("main.py", "nodes.py", "folder_paths.py", "comfy")
_PYTHONS = (
    ".venv/bin/python",
    "venv/bin/python",
    ".venv/Scripts/python.exe",
    "venv/Scripts/python.exe",
    "../python_embeded/python.exe",  # the Windows portable build spells it so
)


class Install(BaseModel):
    """Where everything of one ComfyUI is. Paths are absolute; `python` is not resolved, for it names its venv.

    Attributes:
        root: the folder of ``main.py``.
        python_version: in full, e.g. ``3.11.7``; `implementation` e.g. ``cpython``.
        base_prefix: of the Python that the venv stands on; the prefix itself without a venv.
        site_packages: in import order.
        version: ComfyUI's own, e.g. ``0.30.0``; empty where it does not say.
        custom_nodes: every root that packs are loaded from, in load order.
        model_folders: folder type to its places, in the order ComfyUI looks; `model_extensions` goes with it,
            where none means every file.
        extra_model_paths: the configuration files that added places.
        arguments: the launch arguments that these answers depend on.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    python: Path
    python_version: str
    implementation: str
    base_prefix: Path
    site_packages: tuple[Path, ...]
    version: str
    custom_nodes: tuple[Path, ...]
    model_folders: dict[str, tuple[Path, ...]]
    model_extensions: dict[str, tuple[str, ...]]
    input_dir: Path
    output_dir: Path
    temp_dir: Path
    user_dir: Path
    extra_model_paths: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()


def find_install(folder: Path, python: Path | None = None, arguments: Sequence[str] = ()) -> Install:
    """The ComfyUI in `folder`; nothing of it is changed and no pack is loaded.

    Args:
        python: the interpreter it runs with; looked for in and beside the folder when not given.
        arguments: launch arguments that move its folders, e.g. ``("--base-directory", "/data")``.

    Raises:
        BadInput: ``no-comfyui``, ``no-python``, or ``comfyui-unreadable`` when its own `folder_paths` fails.
    """
    root = _recognised(folder)
    interpreter = _python_of(root) if python is None else Path(os.path.abspath(python))
    if not interpreter.is_file():
        raise BadInput("no-python", f"There is no Python at {interpreter}.", "Give its path with --python.")
    return _probe(root, interpreter, arguments)


def is_comfyui(folder: Path) -> bool:
    """Whether `folder` holds a ComfyUI."""
    return all((folder / mark).exists() for mark in _MARKS)


def _recognised(folder: Path) -> Path:
    root = folder.expanduser().resolve()
    if is_comfyui(root):
        return root
    if not root.is_dir():
        raise BadInput("no-comfyui", f"There is no folder {root}.", "Give the folder that holds ComfyUI's main.py.")
    inner = root / "ComfyUI"
    cure = f"Did you mean {inner}?" if is_comfyui(inner) else "Give the folder that holds ComfyUI's main.py."
    missing = next(mark for mark in _MARKS if not (root / mark).exists())
    raise BadInput("no-comfyui", f"{root} is not a ComfyUI: it has no {missing}.", cure)


def _python_of(root: Path) -> Path:
    for place in _PYTHONS:
        candidate = Path(os.path.normpath(root / place))
        if candidate.is_file():
            return candidate
    raise BadInput(
        "no-python",
        f"No Python environment was found in {root} (looked for .venv, venv and ../python_embeded).",
        "Name the Python that runs this ComfyUI with --python.",
    )


def _probe(root: Path, python: Path, arguments: Sequence[str]) -> Install:
    """Ask the install's Python. ``-B`` leaves no byte code behind; this process's own Python settings stay out."""
    source = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")
    argv: list[str | Path] = [python, "-B", "-c", source, root, *arguments]
    try:
        answer = run(argv, cwd=root, env={"PYTHONPATH": "", "PYTHONHOME": ""}, timeout=120)
        facts = json.loads(answer.splitlines()[-1])
        return Install.model_validate({**facts, "root": root, "python": python})
    except (CapsuleError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise BadInput(
            "comfyui-unreadable",
            f"The ComfyUI in {root} could not be read with {python}: {reason}",
            "Check that this ComfyUI starts, or name its Python with --python.",
        ) from error
