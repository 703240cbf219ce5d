"""Digests that other programs remember of files here, where they can be trusted for the very file that is there now.

comfy-cli (1.23, ``command/build_digest_cache.py``) notes real path, size and modification time in nanoseconds;
comfy-pack (0.4.4, ``hash.py``) path, size and, as ``birthtime``, the status time, which nobody can set back; on Windows
that is the time of creation and says nothing. Both hash the file itself; what else lies about models does not, see
`digest_cache`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .hashing import State, is_settled

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 64 << 20  # bytes; an entry has some 200


def digests_of_others(
    states: Mapping[str, State], environment: Mapping[str, str] | None = None, home: Path | None = None
) -> dict[str, str]:
    """The sha256 (hex) of those of the files `states`, by real path, that another program has hashed as they are now.

    Args:
        environment, home: this process's own when not given; they say where the programs keep their notes.
    """
    environment, home = os.environ if environment is None else environment, home or Path.home()
    now = time.time_ns()  # what is being written now may be written again without its times showing it
    states = {path: state for path, state in states.items() if is_settled(state.mtime_ns, now)}
    caches = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    found = _of_comfy_pack(states, Path(environment.get("CPACK_HOME") or home / ".comfypack") / "sha_cache.json")
    return found | _of_comfy_cli(states, caches / "comfy-cli" / "build-model-digests.json")


def _of_comfy_cli(states: Mapping[str, State], notes: Path) -> dict[str, str]:
    found = {}
    for path, entry in _entries(notes).items():
        state = states.get(path)
        if state and (entry.get("mtimeNs"), entry.get("sizeBytes")) == (state.mtime_ns, state.size):
            found[path] = _digest(entry)
    return {path: digest for path, digest in found.items() if digest}


def _of_comfy_pack(states: Mapping[str, State], notes: Path) -> dict[str, str]:
    found = {}
    for path, entry in _entries(notes).items() if sys.platform != "win32" else ():
        state = states.get(os.path.realpath(path))
        try:
            changed = os.stat(path).st_ctime if state else 0.0
        except OSError:
            continue
        if state and (entry.get("birthtime"), entry.get("size")) == (changed, state.size):
            found[os.path.realpath(path)] = _digest(entry)
    return {path: digest for path, digest in found.items() if digest}


def _entries(notes: Path) -> dict[str, dict[str, Any]]:
    """The objects in a JSON object; none where the file is not there, or is no such thing."""
    try:
        if not notes.is_file() or notes.stat().st_size > _LARGEST:
            return {}
        said = json.loads(notes.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in said.items() if isinstance(value, dict)} if isinstance(said, dict) else {}


def _digest(entry: Mapping[str, Any]) -> str:
    digest = entry.get("sha256")
    return digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else ""
