"""What lies in a checkout without being of its tree (settings, a pack's own models) comes along into the new one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from ...capsule import checkout_files, git, git_names, is_checkout
from ...materialise import exclude_rule, link_or_copy, place

_LARGE = 16 << 20  # bytes; what is larger is weights, which nobody edits in place, and is shared with the backup


def carry_over(old: Path, new: Path, among: Collection[str] | None = None) -> None:
    """Copy what git does not track in the clean checkout `old` into the checkout `new`, whose own files go first.

    What the new commit does not ignore, the copy is told to. Byte code stays behind.

    Args:
        among: the names at the top to look into; all when not given.
    """
    for name in untracked(old, among):
        source, target = old / name, new / name
        if not os.path.lexists(target):
            _copy(source, place(new, name))
    exclude(new, (exclude_rule(name) for name in git_names(git(new, *_SEEN)) if os.path.lexists(old / name)))
    for inner in checkout_files(old).nested:
        if is_checkout(old / inner) and is_checkout(new / inner):
            carry_over(old / inner, new / inner)


_SEEN = ("ls-files", "-z", "--others", "--exclude-standard")


def untracked(folder: Path, among: Collection[str] | None) -> list[str]:
    """The names that git does not track in `folder`, ignored or not; a repository of its own is one name."""
    words = ("--literal-pathspecs", "ls-files", "-z", "--others", "--", *sorted({*(among or ())} - {".git"}))
    listed = git(folder, *words)
    names = (name.rstrip("/") for name in git_names(listed))
    return [name for name in names if not name.endswith(".pyc") and "__pycache__" not in PurePosixPath(name).parts]


def exclude(checkout: Path, rules: Iterable[str]) -> None:
    """Have git ignore in `checkout` what `rules` say, beside what it ignores already."""
    file = checkout / ".git/info/exclude"
    text = with_rules(file, rules)
    if text:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="surrogateescape")


def with_rules(file: Path, rules: Iterable[str]) -> str:
    """The text of an ``info/exclude`` with those of `rules` that it lacks; empty when it lacks none."""
    text = file.read_text(encoding="utf-8", errors="surrogateescape") if file.is_file() else ""
    more = [rule for rule in dict.fromkeys(rules) if rule not in text.splitlines()]
    end = "\n" if text and not text.endswith("\n") else ""
    return text + end + "".join(f"{rule}\n" for rule in more) if more else ""


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file() and source.stat().st_size >= _LARGE:
        link_or_copy(source, target)
    elif source.is_file():
        shutil.copy2(source, target)
