"""The bench's ComfyUI: the cached install, and private copies of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from comfy_capsule.packager.progress import Report, silent

from .build import build
from .cache import building, cache_root, mark_used, recipe_key


def bench_home(report: Report = silent) -> Path:
    """The cached folder with ``ComfyUI/`` and ``origins/``, built when it is not there (about a minute)."""
    final = cache_root() / recipe_key()
    if not final.is_dir():
        with building(final) as place:
            if place is not None:
                build(place, final, report)
    mark_used(final)
    return final


def bench_install(report: Report = silent) -> Path:
    """The pristine ComfyUI with the bench's packs and models. Read it, run it with other folders; change nothing."""
    return bench_home(report) / "ComfyUI"


def bench_origins() -> Path:
    """The bare repositories that the pristine install and its packs were cloned from."""
    return bench_home() / "origins"


def fresh_install(dest: Path) -> Path:
    """A private copy of the pristine install at `dest`, made in a second or two.

    Everything but ``.venv`` is copied. The files in ``.venv`` are hard links into the cache, and through it into
    uv's: adding, deleting and replacing files is safe, *writing into* one is not. Call `make_own` before that.
    """
    pristine = bench_install()
    shutil.copytree(pristine, dest, symlinks=True, ignore=_without_environment(pristine))
    shutil.copytree(pristine / ".venv", dest / ".venv", symlinks=True, copy_function=os.link)
    return dest


def make_own(path: Path) -> None:
    """Replace the hard-linked file at `path`, or those below it, by copies that may be written into."""
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
        if not file.is_symlink():
            copy = file.with_name(file.name + ".own")
            shutil.copy2(file, copy)
            copy.replace(file)


def _without_environment(pristine: Path) -> Any:
    return lambda folder, names: [".venv"] if Path(folder) == pristine else []
