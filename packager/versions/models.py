"""What is known of a kept version: all of it stands in git, none of it in a file of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..capsule import ApiGraph, Digests, Lock
from ..contract import Contract, Effect

_LAST_LINES = ("Capsule", "Environment", "Contract")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ManifestEntry(_Frozen):
    """One line of a capsule's `MANIFEST.json`."""

    size: int = Field(ge=0)  # bytes
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(_Frozen):
    """A capsule's `MANIFEST.json`."""

    format: str
    entries: dict[str, ManifestEntry]


class Version(_Frozen):
    """One capsule of a workflow, as it was kept.

    Attributes:
        id: the capsule's, the first 12 hex digits of its digest.
        commit: the git commit that holds it.
        time: when it was kept, ISO 8601, UTC.
        parent: the commit of the version that it follows; empty for the first.
        branches: those whose newest version it is.
        contract: what changed for callers since its parent; ``unreadable`` where that cannot be said.
        environment: whether restore would give back something else than for its parent.
        carried: bytes of the files beside git that the capsule has; `missing` of them are not here.
    """

    workflow: str
    id: str
    commit: str
    digests: Digests
    message: str
    time: str
    parent: str = ""
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    contract: Effect | Literal["first", "same", "unreadable"] = "first"
    environment: Literal["first", "same", "changed"] = "first"
    carried: int = 0
    missing: int = 0


class Workflow(_Frozen):
    """One workflow of which versions are kept."""

    name: str
    versions: int
    newest: str  # the id of the capsule that was kept last
    time: str


class Pruned(_Frozen):
    """What a pruning took away, or would take away, and what it left: numbers of files, and bytes."""

    files: int
    bytes: int
    left: int


class Keeping(_Frozen):
    """Whether an export was kept, as which version, or why not."""

    version: Version | None = None
    reason: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Kept:
    """What git holds of a version, every byte checked against the capsule's manifest.

    Attributes:
        texts: the entries in git, by name.
        files: the entries beside git: each in `Versions`'s store, unless it was pruned.
    """

    version: Version
    texts: Mapping[str, bytes]
    files: Mapping[str, ManifestEntry]
    lock: Lock
    pylock: str
    workflow: Mapping[str, Any]
    graph: ApiGraph
    contract: Contract


def commit_message(said: str, digests: Digests) -> str:
    """The message of a version's commit: what the user said, then a paragraph that names the capsule."""
    said = said.replace("\0", "").strip() or f"Capsule {digests.id}"
    lines = zip(_LAST_LINES, (digests.capsule, digests.environment, digests.contract), strict=True)
    return said + "\n\n" + "".join(f"{key}: {value}\n" for key, value in lines)


def read_message(text: str) -> tuple[str, Digests] | None:
    """What `commit_message` was given; None for a commit that is no version.

    Only the last paragraph counts, and that one is always ours: no message can pass for another capsule.
    """
    said, _, last = text.rstrip().rpartition("\n\n")
    lines = [line.partition(": ") for line in last.splitlines()]
    if tuple(key for key, _, _ in lines) != _LAST_LINES:
        return None
    capsule, environment, contract = (value for _, _, value in lines)
    if not all(map(_DIGEST.fullmatch, (capsule, environment, contract))):
        return None
    return said, Digests(capsule=capsule, environment=environment, contract=contract)


def iso_time(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601, UTC; of a commit whose time no calendar has, the beginning of that."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return iso_time(0)
