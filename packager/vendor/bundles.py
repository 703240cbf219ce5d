"""One commit as a git bundle whose bytes depend on the commit alone, not on how a repository happens to keep it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..capsule import BUNDLE_REF, Finding, git_names
from ..errors import Cancelled, CapsuleError
from ..materialise import fetch_commit, new_repository, remove_tree
from ..secrets import is_secret_file
from ..snapshot import files_with_tokens, scratch_of, some
from .contents import WantedCommit, not_vendored

_TEXT = 1 << 20  # bytes; what is larger is no text with a token in it, and is not read into memory


def bundle(wanted: WantedCommit, at_hand: Path | None, into: Path) -> tuple[Path | None, tuple[Finding, ...]]:
    """Write the bundle of `wanted` below the new folder `into`.

    Args:
        at_hand: a checkout that may have the commit; its origin is asked where it has not.

    Returns:
        The bundle, None where the commit holds files that are there for secrets; and what is to be said of it.

    Raises:
        BadInput: ``capsule-bad-origin``.
        CapsuleError: ``origin-gone``, ``commit-gone``, ``command-failed``.
    """
    into.mkdir()
    if at_hand is not None:
        try:
            return _bundle(wanted, at_hand, into)
        except Cancelled:
            raise
        except CapsuleError:
            pass  # it was moved on, or lacks objects that a remote would give (a partial clone)
    fetched = into / "fetched"
    new_repository(wanted.subject, wanted.checkout, fetched)
    fetch_commit(wanted.subject, wanted.checkout.origin, wanted.checkout.commit, fetched)
    made = _bundle(wanted, fetched, into)
    remove_tree(fetched)
    return made


def _bundle(wanted: WantedCommit, folder: Path, into: Path) -> tuple[Path | None, tuple[Finding, ...]]:
    commit = wanted.checkout.commit
    with scratch_of(folder, commit) as scratch:
        (scratch.place / "shallow").write_text(f"{commit}\n")  # none of its parents
        files = [_File.of(line) for line in git_names(scratch.git("ls-tree", "-rlz", "--full-tree", commit))]
        if withheld := sorted(file.name for file in files if is_secret_file(file.name, b"")):
            return None, (_withheld(wanted, withheld),)
        # One thread and nothing taken over from existing packs: so the same commit gives the same bytes.
        words = ("--revs", "--quiet", "--no-reuse-object", "--delta-base-offset", "--threads=1")
        scratch.git("pack-objects", *words, str(into / "of"), stdin=f"{commit}\n".encode())
    (pack,) = into.glob("of-*.pack")
    made = into / "bundle"
    with made.open("wb") as target, pack.open("rb") as source:
        target.write(_head(commit))
        shutil.copyfileobj(source, target, 1 << 20)
    for left in into.glob("of-*"):
        left.unlink()
    tokens = files_with_tokens(folder, {file.name: (file.mode, file.blob) for file in files if file.size <= _TEXT})
    return made, (_tokens(wanted, tokens),) if tokens else ()


class _File(NamedTuple):
    """One file of a commit; `size` is in bytes, that of a submodule more than `_TEXT`."""

    name: str
    mode: str
    blob: str
    size: int

    @staticmethod
    def of(line: str) -> _File:
        """Of a line of ``git ls-tree -l``."""
        facts, _, name = line.partition("\t")
        mode, _, blob, size = facts.split()
        return _File(name, mode, blob, int(size) if size.isdecimal() else _TEXT + 1)


def _head(commit: str) -> bytes:
    """What stands before the pack (gitformat-bundle): no commits that the reader must have, and the one ref."""
    first = "# v2 git bundle\n" if len(commit) == 40 else "# v3 git bundle\n@object-format=sha256\n"
    return f"{first}{commit} {BUNDLE_REF}\n\n".encode()


def _withheld(wanted: WantedCommit, names: Sequence[str]) -> Finding:
    message = (
        f"The commit of {wanted.subject} has files that are there to hold secrets, so it stays out: {some(names)}."
    )
    return not_vendored(wanted.subject, message, "Take them out of the commit, and export again.")


def _tokens(wanted: WantedCommit, names: Sequence[str]) -> Finding:
    return Finding(
        code="secret-carried",
        subject=wanted.subject,
        message=f"The commit of {wanted.subject} is carried; files in it hold what looks like a secret: {some(names)}.",
        cure="Take it out of the commit, and export again before you give the capsule to anybody.",
    )
