"""Where the bench keeps what it built: one folder a recipe, outside the repository, built once at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

_RECIPE = 1  # raise it when the way of building changes; a change of the files beside is seen by itself
_HERE = Path(__file__).parent
_UNUSED_DAYS = 3


def cache_root() -> Path:
    """``$COMFY_CAPSULE_BENCH``, or ``~/.cache/comfy-capsule/bench``."""
    given = os.environ.get("COMFY_CAPSULE_BENCH")
    root = Path(given) if given else Path.home() / ".cache" / "comfy-capsule" / "bench"
    root.mkdir(parents=True, exist_ok=True)
    return root.absolute()


def recipe_key() -> str:
    """Names what the bench builds: changes with this folder's files and with the Python that builds it."""
    digest = hashlib.sha256(f"{_RECIPE} {sys.version}".encode())
    inputs = [_HERE / "constraints.txt", *sorted((_HERE / "custom_nodes").rglob("*"))]
    inputs += [_HERE / f"{name}.py" for name in ("build", "git", "models", "packs", "pictures")]
    for path in inputs:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(_HERE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def building(final: Path) -> Iterator[Path | None]:
    """A folder to build `final` in, put in its place when the block ends well; None when `final` is there already.

    Other processes wait meanwhile. What a killed build left behind, and recipes unused for three days, are removed.
    """
    with FileLock(final.parent / "lock"):
        if final.is_dir():
            yield None
            return
        _sweep(final.parent)
        beside = final.parent / f"building-{final.name}"
        beside.mkdir()
        yield beside
        beside.rename(final)


def mark_used(final: Path) -> None:
    """Keep `final` from being swept for a while."""
    os.utime(final)


def _sweep(root: Path) -> None:
    oldest = time.time() - _UNUSED_DAYS * 86400
    for folder in root.iterdir():
        recipe = folder.is_dir() and (folder / "ComfyUI").is_dir()
        if folder.name.startswith("building-") or (recipe and folder.stat().st_mtime < oldest):
            shutil.rmtree(folder)
