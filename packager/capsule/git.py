"""Reading a git checkout without obeying it: its configuration may name programs, and none of them runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..command import run_bytes

GIT = (
    "git",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", f"core.excludesFile={os.devnull}",  # what this user ignores everywhere is no fact of the checkout
    "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.quotePath=false",
    "-c", "submodule.recurse=false",
)  # fmt: skip

#: The settings that go with `Source.line_ends`.
LINE_ENDS: Mapping[str, tuple[str, ...]] = {
    "": ("-c", "core.autocrlf=false", "-c", "core.eol=lf"),
    "crlf": ("-c", "core.autocrlf=true"),
    "attributes": ("-c", "core.autocrlf=false", "-c", "core.eol=crlf"),
}

#: Attributes for ``info/attributes``, which git reads before those of the tree; what was read with one must be written
#: with the same. A filter is a program: none runs, on no side.
AS_STORED = "* -text -filter -ident -working-tree-encoding\n"
AS_CHECKED_OUT = "* -filter\n"

#: The one ref in a bundle that a capsule carries.
BUNDLE_REF = "refs/heads/capsule"

#: Of every call; what a git that calls us (a hook of the user's) says of its own repository is taken out.
GIT_ENVIRONMENT: Mapping[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_DIR": None,
    "GIT_WORK_TREE": None,
    "GIT_INDEX_FILE": None,
    "GIT_OBJECT_DIRECTORY": None,
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": None,
}

_TIMEOUT = 60.0  # seconds; a checkout's configuration may include a pipe that nobody writes to


def git(folder: Path, *words: str, stdin: bytes | None = None) -> bytes:
    """The output of ``git WORDS`` for the checkout at `folder`, with hooks and monitors off.

    The git folder is named, not looked for: a pack whose ``.git`` is broken must not be taken for the ComfyUI checkout
    it stands in; and one that belongs to another user can be read (git's ``safe.directory`` guards those who obey
    what is configured there). Raises what `run_bytes` raises.
    """
    place = (f"--git-dir={folder / '.git'}", f"--work-tree={folder}")
    return run_bytes([*GIT, *place, *words], cwd=folder, env=GIT_ENVIRONMENT, stdin=stdin, timeout=_TIMEOUT)


def git_names(answer: bytes) -> list[str]:
    """The file names in an answer that ends each by NUL. Names are bytes to git: what is no UTF-8 stays as it is."""
    return [name for name in answer.decode("utf-8", "surrogateescape").split("\0") if name]


def for_git(names: Iterable[str]) -> bytes:
    """`names` for a command that reads them from its standard input with ``-z``."""
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


def is_checkout(folder: Path) -> bool:
    """Whether `folder` itself is the top of a git checkout (a folder inside another checkout is not).

    A ``.git`` that points at a git folder elsewhere counts only where that one is a worktree's or a submodule's: else
    a pack could make us read, and carry, any repository of this user.
    """
    mark = folder / ".git"
    if mark.is_symlink() or not mark.is_file():
        return mark.is_dir() and not mark.is_symlink()
    with mark.open("rb") as file:
        said = os.fsdecode(file.read(4096)).strip()
    place = Path(os.path.normpath(folder / said.removeprefix("gitdir:").strip()))
    if any(place.is_relative_to(parent / ".git") for parent in folder.absolute().parents):
        return True  # a submodule's: in the git folder of the checkout around it
    return (place / "gitdir").is_file() and (place / "commondir").is_file()  # a worktree's (gitrepository-layout)
