"""A commit that no remote gives back, as a git bundle of that one commit without its history."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...cache import Cache
from ...capsule import BUNDLE_REF, git
from ...secrets import has_token
from .scratch import scratch_of

# With the version of the rules in ``secrets/shapes.py``: other rules, another kind.
_KIND = "tokens-1"


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


def files_with_tokens(
    folder: Path, committed: Mapping[str, tuple[str, str]], cache: Cache | None = None
) -> tuple[str, ...]:
    """Those of the `committed` files, ``{name: (mode, blob id)}``, that hold a token or key as they were committed.

    A blob's id is a digest of its content: what was found in it is remembered.
    """
    cache, blobs = cache or Cache(), {blob for _, blob in committed.values()}
    known = cache.get(_KIND, blobs)
    if unknown := sorted(blobs - known.keys()):
        looked = {blob: "token" if has_token(content) else "" for blob, content in _contents(folder, unknown)}
        cache.put(_KIND, looked)
        known |= looked
    return tuple(sorted(name for name, (_, blob) in committed.items() if known.get(blob)))


def _contents(folder: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The bytes of those of `blobs` that are some, and no commits of submodules."""
    answer = git(folder, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs).encode())
    at = 0
    while at < len(answer):  # ``BLOB blob SIZE``, a line end, the bytes, a line end
        end = answer.index(b"\n", at)
        blob, kind, *size = answer[at:end].decode().split()
        at = end + 1
        if kind == "blob":
            content = answer[at : at + int(size[0])]
            at += len(content) + 1
            yield blob, content


def bundle_of(folder: Path, commit: str) -> bytes:
    """`commit` with its tree, and none of its parents, as a bundle with the one ref `BUNDLE_REF`."""
    with scratch_of(folder, commit) as scratch:
        (scratch.place / "shallow").write_text(f"{commit}\n")
        scratch.git("update-ref", BUNDLE_REF, commit)
        # One thread: with more, which object is written as a difference to which depends on the scheduling.
        scratch.git("-c", "pack.threads=1", "bundle", "create", "--quiet", str(scratch.place / "bundle"), BUNDLE_REF)
        return (scratch.place / "bundle").read_bytes()
