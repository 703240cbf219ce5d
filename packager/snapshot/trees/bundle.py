"""A commit that no remote gives back, as a git bundle of that one commit without its history."""

from __future__ import annotations

import os
from pathlib import Path

from ...capsule import BUNDLE_REF, git
from .scratch import scratch_of


def is_on_a_remote(folder: Path, commit: str) -> bool:
    """Whether a remote of the checkout at `folder` was seen to have `commit`. No network is asked.

    A branch of a remote leads to it, or it was fetched by its name. A tag counts only where no branch was fetched at
    all (``git clone --branch TAG``): else it may be one that nobody pushed.
    """
    refs = git(folder, "for-each-ref", "--format=%(refname)", "--contains", commit, "refs/remotes", "refs/tags")
    leading = refs.decode(errors="replace").splitlines()
    if any(ref.startswith("refs/remotes/") for ref in leading):
        return True
    if leading and not git(folder, "for-each-ref", "--count=1", "refs/remotes").strip():
        return True
    common = os.fsdecode(git(folder, "rev-parse", "--git-dir").rstrip(b"\n"))
    fetched = folder / common / "FETCH_HEAD"
    return fetched.is_file() and any(
        line.startswith(commit) for line in fetched.read_text("utf-8", "replace").splitlines()
    )


def bundle_of(folder: Path, commit: str) -> bytes:
    """`commit` with its tree, and none of its parents, as a bundle with the one ref `BUNDLE_REF`."""
    with scratch_of(folder, commit) as scratch:
        (scratch.place / "shallow").write_text(f"{commit}\n")
        scratch.git("update-ref", BUNDLE_REF, commit)
        # One thread: with more, which object is written as a difference to which depends on the scheduling.
        scratch.git("-c", "pack.threads=1", "bundle", "create", "--quiet", str(scratch.place / "bundle"), BUNDLE_REF)
        return (scratch.place / "bundle").read_bytes()
