"""Where a name from a capsule may come to lie: inside its folder, through no link that leads out of it."""

from __future__ import annotations

from pathlib import Path

from ..capsule import safe_name
from ..errors import BadInput


def place(root: Path, name: str) -> Path:
    """The path of `name` (relative, with ``/``) under `root`, its parent folders made; `root` itself is trusted.

    A checkout may hold a link where a folder should be (``input -> /home/me``); nothing goes through it.

    Raises:
        BadInput: ``capsule-unsafe-name`` for a name, or a folder on the way, that leads out of `root`.
    """
    path = root / safe_name(name)
    root.mkdir(parents=True, exist_ok=True)
    home = root.resolve()
    for folder in (path.parent, *path.parent.parents):
        if folder.exists() or folder.is_symlink():
            if not folder.resolve().is_relative_to(home):
                raise BadInput(
                    "capsule-unsafe-name",
                    f"{name!r} would be written outside {root}, through the link {folder}.",
                    "Do not use this capsule; ask its author for a new one.",
                )
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():  # of a checkout: what is put here takes its place, and never goes through it
        path.unlink()
    return path
