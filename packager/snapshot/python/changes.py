"""What is not as the wheels gave it, carried: so that the same bytes can be put over them again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ...capsule import ChangedFile, Finding, safe_name, sha256_bytes
from ...errors import BadInput
from ...secrets import is_secret_file
from .contents import Contents, Places
from .findings import modified, not_carried

_MOST_FILE, _MOST = 64 << 20, 256 << 20  # bytes of one file, of all
_MOST_FILES = 10_000


@dataclass
class Changes:
    """`changed` and `removed` as the lock says them, the carried bytes by entry, and the findings."""

    changed: dict[str, tuple[ChangedFile, ...]] = field(default_factory=dict)
    removed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    size: int = 0  # bytes in `files`


def carry_changes(
    folders: Sequence[tuple[Places, Contents]], editables: Collection[str], carried: Collection[str]
) -> Changes:
    """What differs in all of `folders`.

    Args:
        editables: distributions of which the ``.dist-info`` alone is looked at.
        carried: those whose wheel is made of what is there, so that a missing file is no difference from it.
    """
    changes = Changes()
    for places, contents in folders:
        for name in sorted({*contents.changed, *contents.added, *contents.removed, *contents.odd}):
            _carry(changes, name, places, contents, name in editables)
    changes.removed = {name: places for name, places in changes.removed.items() if name not in carried}
    changes.changed = dict(sorted(changes.changed.items()))
    changes.removed = dict(sorted(changes.removed.items()))
    return changes


def _carry(changes: Changes, name: str, places: Places, contents: Contents, editable: bool) -> None:
    changed = [file for file in contents.changed.get(name, ()) if not editable or ".dist-info/" in file.path]
    removed = [place for place in contents.removed.get(name, ()) if not editable]
    inside = {file.path for file in changed if _take(changes, file, places)}
    added = [file for file in contents.added.get(name, ()) if _take(changes, file, places, added=True)]
    # A changed file that cannot be carried still belongs to the lock: without it the environment is another.
    # What was merely added, a model that a package fetched for itself for instance, is named and left out.
    kept = (*changes.changed.get(name, ()), *changed, *added)
    gone = (*changes.removed.get(name, ()), *removed)
    if kept:
        changes.changed[name] = tuple(sorted(kept, key=lambda file: file.path))
    if gone:
        changes.removed[name] = tuple(sorted(gone))
    counts = (
        ("changed", [file.path for file in changed if file.path in inside]),
        ("added", [file.path for file in added]),
        ("missing", removed),
    )
    if any(found for _, found in counts):
        changes.findings.append(modified(name, counts))
    left = {file.path for file in (*changed, *contents.added.get(name, ()))} - inside - {file.path for file in added}
    if left := left | set(contents.odd.get(name, ())):
        changes.findings.append(not_carried(name, sorted(left)))


def _take(changes: Changes, file: ChangedFile, places: Places, *, added: bool = False) -> bool:
    """Put the bytes of `file` into `changes`, unless they are too many, or others by now, or hold a secret.

    A file that a wheel brought counts as one by its name alone: its environment would be another without it.
    """
    if file.size > _MOST_FILE or changes.size + file.size > _MOST or len(changes.files) >= _MOST_FILES:
        return False
    try:
        data = places.path(file.path).read_bytes()
        if is_secret_file(file.path, data if added else b""):
            return False
        safe_name(file.entry)
    except (OSError, BadInput):
        return False
    if sha256_bytes(data) != file.sha256:
        return False
    changes.files[file.entry] = data
    changes.size += len(data)
    return True
