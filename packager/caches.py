"""Where the libraries of a ComfyUI keep what they download, and how a ComfyUI that was given back finds it again.

Sources: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables and
https://pytorch.org/docs/stable/hub.html; both libraries, and others, fall back to the XDG base directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: The folder at a given-back ComfyUI's top that holds what its run opened in the caches of its first user.
CACHES = ".capsule-cache"

_HUGGINGFACE, _TORCH = "huggingface", "torch"


def cache_roots(environment: Mapping[str, str], home: Path) -> list[tuple[Path, str]]:
    """Each cache folder of a user, with its name below the folder of all caches; inner ones first."""
    every = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    hub = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    return [
        *([(Path(hub), f"{_HUGGINGFACE}/hub")] if hub else []),
        (Path(environment.get("HF_HOME") or every / _HUGGINGFACE), _HUGGINGFACE),
        (Path(environment.get("TORCH_HOME") or every / _TORCH), _TORCH),
        (every, ""),
    ]


def cache_environment(comfyui: Path) -> dict[str, str]:
    """What the environment must say for the ComfyUI in `comfyui` to read its own caches; empty when it has none."""
    root = comfyui / CACHES
    names = set(os.listdir(root)) if root.is_dir() else set()
    said: dict[str, Path] = {}
    if _HUGGINGFACE in names:
        said |= {"HF_HOME": root / _HUGGINGFACE, "HF_HUB_CACHE": root / _HUGGINGFACE / "hub"}
    if _TORCH in names:
        said["TORCH_HOME"] = root / _TORCH
    if names - {_HUGGINGFACE, _TORCH}:
        said["XDG_CACHE_HOME"] = root
    return {name: str(path) for name, path in said.items()}
