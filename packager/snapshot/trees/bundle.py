"""A commit that no remote gives back, as a git bundle of that one commit without its history."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...capsule import BUNDLE_REF, git
from ...secrets import has_token
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


def files_with_tokens(folder: Path, committed: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """Those of the `committed` files, ``{name: (mode, blob id)}``, that hold a token or key as they were committed."""
    names: dict[str, list[str]] = {}
    for name, (_, blob) in committed.items():
        names.setdefault(blob, []).append(name)
    answer = git(folder, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in names).encode())
    found, at = [], 0
    while at < len(answer):  # ``BLOB blob SIZE``, a line end, the bytes, a line end
        end = answer.index(b"\n", at)
        blob, kind, *size = answer[at:end].decode().split()
        at = end + 1
        if kind == "blob":
            content = answer[at : at + int(size[0])]
            at += len(content) + 1
            found += names[blob] if has_token(content) else []
    return tuple(sorted(found))


def bundle_of(folder: Path, commit: str) -> bytes:
    """`commit` with its tree, and none of its parents, as a bundle with the one ref `BUNDLE_REF`."""
    with scratch_of(folder, commit) as scratch:
        (scratch.place / "shallow").write_text(f"{commit}\n")
        scratch.git("update-ref", BUNDLE_REF, commit)
        # One thread: with more, which object is written as a difference to which depends on the scheduling.
        scratch.git("-c", "pack.threads=1", "bundle", "create", "--quiet", str(scratch.place / "bundle"), BUNDLE_REF)
        return (scratch.place / "bundle").read_bytes()
