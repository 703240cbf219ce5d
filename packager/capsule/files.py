"""Which files make up a source tree: what git tracks or would track, or all but what never belongs to it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ..caches import CACHES
from ..errors import CapsuleError
from ..secrets import is_secret_file
from .git import git, git_names, is_checkout

#: Never part of a tree, unless git tracks them: environments, caches, what a file manager leaves.
LEFT_OUT = frozenset({".git", "__pycache__", ".venv", "venv", "node_modules", ".DS_Store"})

#: What restore puts beside ComfyUI's ``main.py`` to start it; no part of the tree.
START_SCRIPTS = ("start-comfyui.sh", "start-comfyui.bat")

#: At ComfyUI's top: what a restore into it keeps there, see `restore.existing`.
RESTORES = ".comfy-capsule"

#: At ComfyUI's top, but no part of it: the lock's other parts, what it makes, what belongs to this one machine.
NOT_CORE = frozenset(
    {"custom_nodes", "models", "input", "output", "temp", "user", "extra_model_paths.yaml", CACHES, RESTORES}
    | {*START_SCRIPTS}
)

_HEAD = 64 << 10  # bytes of a file that tell whether it holds a secret
_GITLINK = "160000"  # the mode of a submodule in a git tree


class CheckoutFiles(NamedTuple):
    """The files of one checkout. Names are relative, with ``/``.

    Attributes:
        committed: ``{name: (mode, blob id)}`` of HEAD.
        local: the names that git tracks or would track beyond those.
        nested: the folders that are checkouts of their own, submodules or not, sorted, with their files.
        secret: those that git would track, but hold secrets: they are in none of the above.
        withheld: those of HEAD that hold secrets by their name: they are in none of the first three.
    """

    committed: dict[str, tuple[str, str]]
    local: frozenset[str]
    nested: dict[str, CheckoutFiles]
    secret: tuple[str, ...]
    withheld: tuple[str, ...]


def tree_files(folder: Path, without: Collection[str] = ()) -> list[str]:
    """The names (relative, with ``/``, sorted) of the files of the tree `folder`.

    In a checkout: what HEAD or the index names, and what git does not ignore; nested checkouts likewise. Elsewhere: all
    but `LEFT_OUT`. Files that hold secrets are in neither; of committed ones, those that do so by their name: another
    may lie over them here.

    Args:
        without: names at the top that are other things than this tree.

    Raises:
        CapsuleError: ``command-failed`` or ``command-timeout`` when git cannot read the checkout.
    """
    if not is_checkout(folder):
        return plain_files(folder, without)[0]
    return checkout_names(folder, checkout_files(folder, without))


def checkout_names(folder: Path, files: CheckoutFiles) -> list[str]:
    """The names that `tree_files` gives for the checkout at `folder`, whose files are `files`."""
    names = {*files.committed, *files.local} - beyond_links(folder, files)
    for nested, inner in files.nested.items():
        names.update(f"{nested}/{name}" for name in checkout_names(folder / nested, inner))
    return sorted(names)


def checkout_files(folder: Path, without: Collection[str] = ()) -> CheckoutFiles:
    """What git knows of the checkout at `folder`, and of those inside it. Raises as `tree_files`."""
    committed: dict[str, tuple[str, str]] = {}
    gitlinks, withheld = [], []
    for entry in _committed(folder):
        facts, _, name = entry.partition("\t")
        mode, _, blob = facts.split()
        if is_secret_file(name, b""):
            withheld.append(name)
        elif _top(name) in without:
            continue
        elif mode == _GITLINK:
            gitlinks.append(name)
        else:
            committed[name] = (mode, blob)
    listed = git_names(git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"))
    # git ends the name of a folder that is a repository of its own, and no submodule, with a slash.
    places = {*gitlinks, *(name.rstrip("/") for name in listed if name.endswith("/"))}
    local = {name for name in listed if name not in committed and name not in places and not name.endswith("/")}
    nested = {name for name in places if is_checkout(folder / name)}
    for name in places - nested:  # a submodule whose files were put there by hand
        local |= {f"{name}/{inner}" for inner in plain_files(folder / name)[0]}
    of_tree, secret = _without_secrets(folder, (name for name in local if not _is_left_out(name, without)))
    return CheckoutFiles(
        committed=committed,
        local=frozenset(of_tree),
        nested={name: checkout_files(folder / name) for name in sorted(nested) if _top(name) not in without},
        secret=tuple(secret),
        withheld=tuple(withheld),
    )


def _committed(folder: Path) -> list[str]:
    try:
        return git_names(git(folder, "ls-tree", "-r", "-z", "--full-tree", "HEAD"))
    except CapsuleError:
        git(folder, "symbolic-ref", "--quiet", "HEAD")  # not so in a checkout that is damaged
        if git(folder, "for-each-ref", "--count=1"):
            raise
        return []  # nothing was committed yet


def beyond_links(folder: Path, files: CheckoutFiles) -> frozenset[str]:
    """The committed names that would be reached through a link only, as a new link took the place of their folder."""
    links = tuple(f"{name}/" for name in files.local if (folder / name).is_symlink())
    return frozenset(name for name in files.committed if links and name.startswith(links))


def plain_files(folder: Path, without: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """The files of a folder as `tree_files` gives them where there is no git; and those left out that hold secrets."""
    names: set[str] = set()
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        here = Path(base).relative_to(folder)
        # os.walk lists a link to a folder among the folders and does not follow it: it is a file to us.
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        names.update((here / name).as_posix() for name in [*files, *links])
    return _without_secrets(folder, (name for name in names if not _is_left_out(name, without)))


def _without_secrets(folder: Path, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """`names`, sorted, without those of files that hold secrets; and these."""
    kept: list[str] = []
    secret: list[str] = []
    for name in sorted(names):
        (secret if is_secret_file(name, _head(folder / name)) else kept).append(name)
    return kept, secret


def _head(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_HEAD)


def _top(name: str) -> str:
    return name.partition("/")[0]


def _is_left_out(name: str, without: Collection[str]) -> bool:
    return _top(name) in without or name.endswith(".pyc") or not LEFT_OUT.isdisjoint(name.split("/"))
