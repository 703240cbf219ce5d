"""Apply: build the capsule's ComfyUI beside the target, prove its files, and rename it into place."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict

from ..caches import CACHES, cache_environment
from ..capsule import START_SCRIPTS, Capsule, is_checkout
from ..errors import BadInput, CapsuleError
from ..materialise import (
    ModelStore,
    Packs,
    fitted,
    install_python,
    materialise_sources,
    place,
    place_inputs,
    place_models,
    place_used_files,
    remove_tree,
)
from ..progress import Report
from .plan import check_target
from .table import Table
from .verify import verify_bytes


class Applied(BaseModel):
    """The new ComfyUI: where it is, what its files were proved against, and how long each phase took (seconds)."""

    model_config = ConfigDict(frozen=True)

    path: Path
    table: Table
    seconds: dict[str, float]


def apply(
    capsule: Capsule,
    into: Path,
    report: Report,
    *,
    trust: bool,
    packs: Packs,
    models_from: Sequence[Path],
    store: ModelStore | None,
) -> Applied:
    """Make `into` the capsule's ComfyUI, or leave it as it is. Nothing of the capsule is booted.

    It is built in a folder beside the target and renamed when every file is proved; on failure or Ctrl-C that
    folder goes, and what a killed run left of it goes at the next.

    Raises: as `materialise_sources`, `install_python`, `place_models`, and
        BadInput: ``target-not-empty``, ``restore-running``.
        CapsuleError: ``restore-differs`` when the files that were made are not the capsule's.
    """
    target, here = check_target(into), fitted(capsule)
    seconds: dict[str, float] = {}
    with _beside(target) as beside:
        with timed(seconds, "sources"):
            comfyui = materialise_sources(capsule, beside, report, packs=packs, with_git=True).comfyui
        with timed(seconds, "python"):
            venv = place(comfyui, ".venv")
            held = capsule.vendored
            install_python(here.lock, here.pylock, venv, report, trust=trust, files=here.files, vendored=held)
        with timed(seconds, "models"):
            models = capsule.lock.models
            place_models(models, comfyui, report, models_from=models_from, store=store, vendored=held)
            place_inputs(capsule, comfyui, report)
            place_used_files(capsule, comfyui, report, packs=packs, models_from=models_from, store=store)
        write_start_script(comfyui)
        with timed(seconds, "verify"):
            table = verify_bytes(capsule, comfyui, packs=packs, report=report)
        if not table.equal:
            wrong = "; ".join(
                f"{row.kind} {row.subject}: {row.found} instead of {row.expected}" for row in table.differing[:5]
            )
            message = f"What was restored is not the capsule: {wrong}. Nothing was put at {target}."
            raise CapsuleError("restore-differs", message, "Report this with the capsule's findings.")
        check_target(target)  # it may have been filled meanwhile
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            target.rmdir()
        os.rename(comfyui, target)
    return Applied(path=target, table=table, seconds=seconds)


def write_start_script(comfyui: Path, venv: str = ".venv") -> Path:
    """Write the script that starts ComfyUI with its own Python; git is told not to see it as a local change.

    Args:
        venv: the name of its environment's folder.
    """
    windows = sys.platform == "win32"
    script = place(comfyui, START_SCRIPTS[windows])
    environment = cache_environment(comfyui)
    caches = [(name, Path(path).relative_to(comfyui).as_posix()) for name, path in environment.items()]
    if windows:
        told = "".join(f"set {name}=%CD%\\{path}\r\n".replace("/", "\\") for name, path in caches)
        text = f'@echo off\r\ncd /d "%~dp0"\r\n{told}{venv}\\Scripts\\python.exe main.py %*\r\n'
    else:
        text = "#!/bin/sh\n# Starts this ComfyUI with its own Python; arguments go to main.py.\n"
        told = "".join(f'export {name}="$PWD/{path}" && ' for name, path in caches)
        text += f'cd "$(dirname "$0")" && {told}exec {venv}/bin/python main.py "$@"\n'
    script.write_text(text, newline="")
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    if is_checkout(comfyui):
        with place(comfyui, ".git/info/exclude").open("a") as file:
            file.write(f"/{script.name}\n/{CACHES}/\n")
    return script


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty folder on the target's own file system, gone when the block ends, whichever way."""
    near = next(folder for folder in target.parents if folder.is_dir())
    beside = near / f".{target.name}.comfy-capsule-restoring"
    with locked(target):
        try:
            if beside.exists():  # of a run that was killed: nobody else holds the lock
                remove_tree(beside)
            beside.mkdir()
            yield beside
        finally:
            if beside.exists():
                remove_tree(beside)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Nobody else restores into `target` in this block. Raises BadInput ``restore-running``."""
    locks = user_state_path("comfy-capsule", appauthor=False) / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{sha256(os.fsencode(target)).hexdigest()[:32]}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"Another restore into {target} is running."
        raise BadInput("restore-running", message, "Wait for it, or stop it.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    """Note how long the block took, in seconds."""
    start = time.monotonic()
    yield
    seconds[phase] = round(time.monotonic() - start, 3)
