"""What of a checkout is somebody's own work, which nothing gives back once the checkout is replaced."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...capsule import CheckoutFiles, checkout_files, git, git_names, sha256_file
from ...errors import CapsuleError
from .checkout import checkout_changes

_POINTED = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)  # git-lfs, docs/spec.md


class LocalWork(BaseModel):
    """What was found in a checkout and those inside it.

    Attributes:
        files: changed, gone and new ones that git does not ignore, sorted.
        commits: the checkouts, by their path, with commits or stashes that no remote was seen to have.
        elsewhere: whether its repository lies outside its folder: a worktree, or a submodule of what is around it.
        unreadable: why git cannot tell, if so.
    """

    model_config = ConfigDict(frozen=True)

    files: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    elsewhere: bool = False
    unreadable: str = ""


def local_work(folder: Path, without: Collection[str] = ()) -> LocalWork:
    """Look at the checkout at `folder`; nothing in it is changed, and no network is asked.

    Args:
        without: names at the top that are other things than this tree.
    """
    if (folder / ".git").is_file():
        return LocalWork(elsewhere=True)
    try:
        found = list(_all(folder, "", checkout_files(folder, without), without))
    except (CapsuleError, OSError) as error:
        reason = error.message.splitlines()[-1] if isinstance(error, CapsuleError) else str(error)
        return LocalWork(unreadable=reason)
    files = sorted(f"{path}{name}" for path, names, _ in found for name in names)
    return LocalWork(files=tuple(files), commits=tuple(path or "." for path, _, own in found if own))


def _all(
    folder: Path, path: str, files: CheckoutFiles, without: Collection[str]
) -> list[tuple[str, Sequence[str], bool]]:
    """``(path, its changed files, whether it has commits of its own)`` of the checkout and of those inside it."""
    changes = checkout_changes(folder, files)
    untouched = {name for name in changes.contents if _is_pointed_at(folder, name, files)}
    names = [*(name for name in changes.names if name not in untouched), *changes.secret]
    found: list[tuple[str, Sequence[str], bool]] = [
        (path, [*names, *_repositories(folder, files, without)], _has_own_commits(folder))
    ]
    for name, inner in files.nested.items():
        found += _all(folder / name, f"{path}{name}/", inner, ())
    return found


def _is_pointed_at(folder: Path, name: str, files: CheckoutFiles) -> bool:
    """Whether the file is the very one that its LFS pointer names: fetched, not edited."""
    said = _POINTED.search(git(folder, "cat-file", "blob", files.committed[name][1]))
    return said is not None and sha256_file(folder / name) == said[1].decode()


def _repositories(folder: Path, files: CheckoutFiles, without: Collection[str]) -> list[str]:
    """Repositories that somebody cloned into it; git names them with a slash, and does not look inside."""
    listed = git_names(git(folder, "ls-files", "-z", "--others", "--exclude-standard"))
    names = [name.rstrip("/") for name in listed if name.endswith("/")]
    return [name for name in names if name in files.nested and name.partition("/")[0] not in without]


def _has_own_commits(folder: Path) -> bool:
    """Whether HEAD, a branch or the stash leads to a commit that no remote was seen to have.

    A commit at which a shallow history begins was fetched: nobody makes one here. Tags count as in `is_on_a_remote`.
    """
    stash = ["refs/stash"] if git(folder, "for-each-ref", "refs/stash") else []
    fetched = "--remotes" if git(folder, "for-each-ref", "--count=1", "refs/remotes") else "--tags"
    place = git(folder, "rev-parse", "--git-path", "shallow").decode("utf-8", "surrogateescape").strip()
    roots = (folder / place).read_text().split() if (folder / place).is_file() else []
    words = ["--max-count=1", "HEAD", "--branches", *stash, "--not", fetched, "--not", "--stdin"]
    return bool(git(folder, "rev-list", *words, stdin="".join(f"^{root}\n" for root in roots).encode()))
