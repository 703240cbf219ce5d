"""The ComfyUI that a capsule is restored into: what it is, and whether it can be changed at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...capsule import Capsule
from ...comfy import Install, find_install, is_comfyui
from ...errors import BadInput, Blocked
from ...progress import Progress, Report
from ...snapshot import Snapshot, snapshot_install
from ..reading import unexecuted_install
from .journal import Journal

_VENVS = (".venv", "venv")  # in the order in which `find_install` and `unexecuted_install` look
_CODE = Path(__file__).parents[3]  # this very program


class Target(BaseModel):
    """An install that can be changed.

    Attributes:
        venv: the name of its environment's folder.
        found: what it is now.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    venv: str
    install: Install
    found: Snapshot


def checked_root(into: Path) -> Path:
    """The folder of the ComfyUI `into`, when a restore may begin there.

    Raises:
        BadInput: ``no-comfyui``, ``restore-interrupted``, ``inside-target``, ``comfyui-running``.
    """
    root = into.expanduser().resolve()
    if Journal(root).state() == "open":  # it may be no ComfyUI now
        raise BadInput(
            "restore-interrupted",
            f"A restore into {root} was interrupted and is neither done nor undone.",
            f"Finish it with `comfy-capsule restore --resume {root}`, "
            f"or undo it with `comfy-capsule restore --rollback {root}`.",
        )
    if not is_comfyui(root):
        cure = "Give a ComfyUI's folder, or leave --existing out to make a new one."
        raise BadInput("no-comfyui", f"{root} holds no ComfyUI; nothing was changed.", cure)
    refuse_in_use(root)
    return root


def refuse_in_use(root: Path) -> None:
    """Refuse to rename what runs: this program's own Python, or a ComfyUI. Raises BadInput."""
    ours = [place for place in (Path(sys.prefix), _CODE) if place.resolve().is_relative_to(root)]
    if ours:
        raise BadInput(
            "inside-target",
            f"This command runs out of {ours[0]}, which lies in the ComfyUI that it would change.",
            "Run it from another environment, for example `uv tool install comfy-capsule`.",
        )
    if running := next(_running(root), ""):
        raise BadInput("comfyui-running", f"The ComfyUI in {root} is running (process {running}).", "Stop it first.")


def read_target(root: Path, capsule: Capsule, report: Report, *, trust: bool) -> Target:
    """Look at the ComfyUI in `root`; nothing of it is changed, and without `trust` nothing of it is run.

    Raises:
        Blocked: ``python-outside``, ``packs-elsewhere``.
        BadInput: ``comfyui-unreadable``.
    """
    venv = next((name for name in _VENVS if (root / name / "pyvenv.cfg").is_file()), "")
    if not venv or (root / venv).is_symlink():
        raise Blocked(
            "python-outside",
            f"The Python of the ComfyUI in {root} is not in its folder (it has no .venv and no venv of its own); "
            "it may be other programs' too, and is not changed.",
            f"Make one of its own with `uv venv {root / '.venv'}`, which is then filled, or restore into a new folder.",
        )
    report(Progress(phase="plan", item="what is there"))
    install = find_install(root) if trust else unexecuted_install(root, capsule.lock)
    if [place.resolve() for place in install.custom_nodes] != [(root / "custom_nodes").resolve()]:
        places = ", ".join(map(str, install.custom_nodes))
        message = f"The ComfyUI in {root} loads packs from {places}; only its own custom_nodes can be changed."
        raise Blocked("packs-elsewhere", message, "Restore into a new folder.")
    return Target(root=root, venv=venv, install=install, found=snapshot_install(install, known=capsule.pylock))


def _running(root: Path) -> Iterator[str]:
    """The ids of processes that run ``main.py`` of `root`. Only Linux says so without a helper."""
    for process in Path("/proc").glob("[0-9]*") if sys.platform.startswith("linux") else ():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            here = Path(os.readlink(process / "cwd"))
        except OSError:  # it has ended, or is another user's
            continue
        if any(
            word.endswith(b"main.py") and (here / os.fsdecode(word)).resolve() == root / "main.py" for word in words
        ):
            yield process.name
