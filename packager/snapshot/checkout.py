"""A git checkout as the lock has it: origin, commit, tree digest, and local changes as one patch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import GIT, GIT_ENVIRONMENT, LEFT_OUT, git, tree_digest, tree_files
from ..command import run, without_credentials
from ..errors import CapsuleError

# The same files that `tree_files` leaves out, in git's words.
_PATTERNS = (*sorted(LEFT_OUT), ".env.*", "*.pyc")
_NOT_CARRIED = [f":(exclude,glob)**/{pattern}{rest}" for pattern in _PATTERNS for rest in ("", "/**")]


class Checkout(BaseModel):
    """What one checkout is. Where its files are not those of the commit, `changed` names them and `patch` has them."""

    model_config = ConfigDict(frozen=True)

    origin: str
    commit: str
    tree: str
    changed: tuple[str, ...]
    patch: bytes


def read_checkout(folder: Path) -> Checkout:
    """Read the checkout at `folder`; nothing in it is changed, no hook of it runs.

    Raises:
        CapsuleError: ``git-unreadable`` when git cannot say what it is (corrupt, not owned by this user, no commit).
    """
    try:
        changed = _changed(folder)
        return Checkout(
            origin=_origin(folder),
            commit=git(folder, "rev-parse", "HEAD").strip(),
            tree=tree_digest(folder, tree_files(folder)),
            changed=changed,
            patch=_patch(folder) if changed else b"",
        )
    except CapsuleError as error:
        if error.code == "no-program":
            raise
        message = f"git cannot read {folder.name}: {error.message.splitlines()[-1]}"
        raise CapsuleError("git-unreadable", message, "Repair the checkout.") from error


def _origin(folder: Path) -> str:
    remotes = git(folder, "remote").split()
    if not remotes:
        return ""
    name = "origin" if "origin" in remotes else remotes[0]
    return without_credentials(git(folder, "remote", "get-url", name).strip())


def _changed(folder: Path) -> tuple[str, ...]:
    words = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".", *_NOT_CARRIED]
    return tuple(entry[3:] for entry in git(folder, *words).split("\0") if entry)


def _patch(folder: Path) -> bytes:
    """All changes and untracked files against HEAD, binary files and modes included.

    Staged in an index and an object store of our own, so that the checkout's own are not touched.
    """
    git_dir = Path(git(folder, "rev-parse", "--absolute-git-dir").strip())
    common = (folder / git(folder, "rev-parse", "--git-common-dir").strip()).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        if (git_dir / "index").exists():
            index.write_bytes((git_dir / "index").read_bytes())
        environment = {
            **GIT_ENVIRONMENT,
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(common / "objects"),
        }
        run([*GIT, "add", "--all", "--", ".", *_NOT_CARRIED], cwd=folder, env=environment)
        diff = [*GIT, "diff", "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"]
        # latin-1 keeps every byte of every encoding as it is.
        # `git apply` wants the prefixes, which the user's own settings may take away (diff.noprefix).
        diff += ["--no-renames", "--src-prefix=a/", "--dst-prefix=b/"]
        return run([*diff, "HEAD"], cwd=folder, env=environment, encoding="latin-1").encode("latin-1")
