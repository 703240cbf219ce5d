"""The Python lock as the build context holds it: what uv downloads, the wheels at hand, and what comes over them."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from ..capsule import Capsule
from ..materialise import gather_wheels, lay_over, read_pylock, removed_names, uv_lock_offline
from .layout import VENV
from .plan import ImagePlan


def write_lock(capsule: Capsule, plan: ImagePlan, into: Path) -> None:
    """Write the folder `into`: ``pylock.toml`` and, each where there is a need, ``unproved.txt``, ``carried.txt`` with
    ``wheels/``, ``overlay/`` with ``removed.txt`` and ``compile.txt``.

    Raises:
        BadInput: ``capsule-damaged``, ``capsule-unsafe-name``.
    """
    into.mkdir()
    locked = read_pylock(capsule.pylock)
    at_hand = gather_wheels(locked, capsule.files, into / "wheels", vendored=capsule.vendored)
    rest = locked.without(at_hand.names)
    texts = {"pylock.toml": uv_lock_offline(rest).text}
    if rest.unproved:
        texts["unproved.txt"] = "\n".join(sorted(rest.unproved)) + "\n"
    if plan.carried:
        texts["carried.txt"] = at_hand.requirements
    else:
        shutil.rmtree(into / "wheels")
    if plan.overlay:
        (into / "overlay").mkdir()
        lay_over(locked, capsule.files, into / "overlay", plan.site_packages)
        venv = PurePosixPath(VENV)
        removed = [venv / name for name in removed_names(locked, plan.site_packages)]
        texts["removed.txt"] = _lines([*removed, *(_compiled(path, plan) for path in removed)])
        texts["compile.txt"] = _lines([venv / name for name in _modules(into / "overlay")])
    for name, text in texts.items():
        (into / name).write_text(text, encoding="utf-8", newline="\n")


def _modules(overlay: Path) -> list[str]:
    found = (path.relative_to(overlay).as_posix() for path in overlay.rglob("*.py") if path.is_file())
    return sorted(name for name in found if ".modules/" not in name)


def _compiled(path: PurePosixPath, plan: ImagePlan) -> PurePosixPath:
    return path.parent / "__pycache__" / f"{path.stem}.cpython-{plan.short_python.replace('.', '')}.pyc"


def _lines(paths: list[PurePosixPath]) -> str:
    return "".join(f"{path}\n" for path in paths)
