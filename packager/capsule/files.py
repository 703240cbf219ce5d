"""Which files make up a source tree: what git tracks or would track, or all but what never belongs to it."""

from __future__ import annotations

import os
from pathlib import Path

from ..command import run

#: Never part of a tree, with or without git: secrets, environments, caches.
LEFT_OUT = frozenset({".git", "__pycache__", ".venv", "venv", ".env", "node_modules", ".DS_Store"})

# A checkout's own configuration can name programs that git would run; none of it may be obeyed.
GIT = (
    "git",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.quotePath=false",
    "-c", "submodule.recurse=false",
)  # fmt: skip
GIT_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def git(folder: Path, *words: str) -> str:
    """The output of ``git WORDS`` in `folder`, with hooks and monitors off. Raises what `run` raises."""
    # A pack whose .git is broken must not be taken for the ComfyUI checkout it stands in.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    return run([*GIT, *words], cwd=folder, env={**GIT_ENVIRONMENT, **ceiling})


def is_checkout(folder: Path) -> bool:
    """Whether `folder` itself is the top of a git checkout (a folder inside another checkout is not)."""
    return (folder / ".git").exists()


def tree_files(folder: Path) -> list[str]:
    """The names (relative, with ``/``, sorted) of the files of the tree `folder`.

    In a checkout: tracked files, and untracked ones that git does not ignore. Elsewhere: all but `LEFT_OUT`.
    """
    if is_checkout(folder):
        listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = {name for name in listed.split("\0") if name}
    else:
        names = set()
        for base, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in LEFT_OUT]
            here = Path(base).relative_to(folder)
            # os.walk lists a link to a folder among the folders and does not follow it: it is a file to us.
            links = [name for name in folders if (Path(base) / name).is_symlink()]
            names.update((here / name).as_posix() for name in [*files, *links])
    return sorted(name for name in names if not any(_is_left_out(part) for part in name.split("/")))


def _is_left_out(part: str) -> bool:
    """``.env.local`` and its like hold secrets as ``.env`` does."""
    return part in LEFT_OUT or part.startswith(".env.") or part.endswith(".pyc")
