"""A snapshot as a folder that a person keeps and compares: the lock, and what it carries."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path

from ..capsule import Lock, carried_entries, lock_toml, safe_name
from ..errors import BadInput
from .snapshot import Snapshot

_LOCK = "capsule.toml"


def write_lock(snapshot: Snapshot, folder: Path) -> None:
    """Write ``capsule.toml``, ``pylock.toml`` and the carried files into `folder`, each whole, the lock last.

    Of an earlier snapshot there, the carried files that this one has not are removed; other files are let be.

    Raises:
        BadInput: ``out-not-a-lock`` for a folder with files and no lock among them.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _LOCK).is_file():
        message = f"{folder} holds files, but no lock; nothing was written."
        raise BadInput("out-not-a-lock", message, "Name a new folder, or one that a snapshot was written to.")
    stale = _carried_by(folder / _LOCK) - snapshot.files.keys()
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"pylock.toml": snapshot.pylock.encode(), _LOCK: lock_toml(snapshot.lock).encode()}
    for name, data in {**snapshot.files, **texts}.items():
        _write(folder / safe_name(name), data)
    for name in stale:
        (folder / safe_name(name)).unlink(missing_ok=True)


def _carried_by(lock: Path) -> set[str]:
    try:
        return set(carried_entries(Lock.model_validate(tomllib.loads(lock.read_text(encoding="utf-8")))))
    except (OSError, ValueError):
        return set()  # of another version, or edited: what it names is not known to be ours


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
