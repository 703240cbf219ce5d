"""The image that the container tests look at from all sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfy_capsule.packager.actions import export
from comfy_capsule.packager.capsule import Capsule, ComfyUI, tree_digest, tree_files
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.image import BuiltImage, Docker, build
from comfy_capsule.packager.progress import Report, silent

from .engine import Engine
from .packs import Commit, build_pack
from .python_env import a_lock
from .workflows import UPSCALE

TAG = "comfy-capsule-test:upscale"
_NOTHING = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
KEY = "a-key-of-the-container-tests"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512")


def upscale_capsule(comfyui: Path, folder: Path) -> Capsule:
    """The capsule of `comfyui`, the bench's, with the workflow `UPSCALE`; its file is in `folder`."""
    said: dict[str, Any] = {"name": None, "message": "", "strict": False, "python": None, "report": silent}
    return export(str(comfyui), UPSCALE.ui_path, UPSCALE.api_path, folder / "upscale.capsule.zip", **said)


def built(
    capsule: Capsule,
    engine: Engine,
    base: str,
    comfyui: Path,
    tag: str = TAG,
    report: Report = silent,
    *,
    reproducible: bool = False,
    no_cache: bool = False,
) -> BuiltImage:
    """The image of `capsule`, whose models are those of `comfyui`."""
    return build(
        capsule,
        tag,
        engine=Docker(engine.environment),
        base=base,
        models_from=[comfyui / "models"],
        report=report,
        reproducible=reproducible,
        no_cache=no_cache,
    )


def small_capsule(folder: Path, pylock: str = _NOTHING, files: Mapping[str, bytes] | None = None) -> Capsule:
    """Of a ComfyUI that is one empty file, made in `folder`, with the environment of `pylock`: an image in seconds."""
    core = build_pack(folder / "origins", "ComfyUI", Commit("core", {"main.py": "\n"}))
    (folder / "tree").mkdir()
    (folder / "tree/main.py").write_text("\n")
    tree = tree_digest(folder / "tree", tree_files(folder / "tree"))
    comfyui = ComfyUI(version="0.30.0", kind="git", origin=core.url, commit=core.commits[-1], tree=tree)
    lock = a_lock().model_copy(update={"comfyui": comfyui})
    graph = {"1": {"class_type": "A", "inputs": {}}}
    return Capsule(lock, pylock, {}, graph, Contract(name="w"), {"A": {}}, dict(files or {}))
