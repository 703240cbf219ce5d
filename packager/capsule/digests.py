"""Digests: of a JSON value, of a file, of a source tree, and the three that name a capsule."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..progress import Tick, unheard
from .models import Lock


def canonical_json(value: Any) -> bytes:
    """`value` as JSON bytes that are the same for equal values: sorted keys, no spaces, UTF-8 (after RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_bytes(data: bytes) -> str:
    """The sha256 of `data`, hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of the file's content, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(root: Path, names: Iterable[str], tick: Tick = unheard) -> str:
    """The digest of the files `names` (relative, with ``/``) under `root`.

    One line a file, sorted by name: mode (``100644``, ``100755`` or ``120000`` as git has them), the sha256
    of its content or of its link target, and its name. A name that is gone counts as absent.
    """
    lines = []
    for name in sorted(set(names)):
        tick()
        path = root / name
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(status.st_mode):
            mode, content = "120000", sha256_bytes(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            mode = "100755" if status.st_mode & stat.S_IXUSR else "100644"
            content = sha256_file(path)
        else:
            continue  # a submodule's folder, a socket: no bytes of its own
        lines.append(f"{mode} {content} {name}\n")
    return sha256_bytes("".join(lines).encode("utf-8", "surrogateescape"))


def environment_digest(lock: Lock, pylock: str) -> str:
    """What restore gives back and `verify` compares: platform, ComfyUI, system, packs, models and Python.

    Left out: what was merely observed, the findings (they may depend on a network look-up), the input files,
    the capsule's own identity, which packs this one graph uses, which entries carry bytes (trees have digests), and
    the packages that a distribution happens to keep a library in.
    """
    carried: dict[str, Any] = dict.fromkeys(("patch", "bundle", "carried"), True)
    carried["submodules"] = {"__all__": {"patch", "bundle"}}
    value = {
        "platform": lock.platform.model_dump(mode="json"),
        "comfyui": lock.comfyui.model_dump(mode="json", exclude=carried),
        "packs": [pack.model_dump(mode="json", exclude={**carried, "used": True}) for pack in lock.packs],
        "system": {
            "libraries": [item.soname for item in lock.system.libraries],
            "programs": [item.name for item in lock.system.programs],
        },
        "models": [model.model_dump(mode="json", exclude={"sources"}) for model in lock.models],
        "python": sha256_bytes(pylock.encode()),
    }
    if lock.files:
        value["files"] = [item.model_dump(mode="json", exclude={"sources", "carried"}) for item in lock.files]
    return sha256_bytes(canonical_json(value))
