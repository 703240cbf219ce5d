"""What the ComfyUI that is exported has at hand, so that no origin is asked for it."""

from __future__ import annotations

import os
from pathlib import Path

from ..caches import cache_roots
from ..capsule import Lock, Source, is_checkout
from ..comfy import Install


def checkouts_of(lock: Lock, install: Install) -> dict[str, Path]:
    """The folders of `install` in which the commits of `lock` were seen, by commit."""
    folders: list[tuple[Source, Path]] = [(lock.comfyui, install.root)]
    folders += [(pack, root / pack.path) for pack in lock.packs for root in install.custom_nodes]
    found: dict[str, Path] = {}
    for source, folder in folders:
        for said, place in ((source, folder), *((inner, folder / inner.path) for inner in source.submodules)):
            if said.commit and is_checkout(place):
                found.setdefault(said.commit, place)
    return found


def model_folders_of(lock: Lock, install: Install) -> tuple[Path, ...]:
    """The folders of `install`, and of this user's caches, in which the large files of `lock` are."""
    folders = [folder for folders in install.model_folders.values() for folder in folders]
    for item in (item for item in lock.files if not item.carried):
        if item.place == "comfyui":
            folders.append((install.root / item.name).parent)
            continue
        for root, name in cache_roots(os.environ, Path.home()):
            if not name or item.name.startswith(f"{name}/"):
                folders.append((root / item.name.removeprefix(f"{name}/")).parent)
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))
