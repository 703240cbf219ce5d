"""Reading one ``.dist-info``: what it says of its distribution, and which files came out of the wheel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from .contents import Places
from .record import (
    SCRIPTS,
    SITE,
    Line,
    entry_scripts,
    identity,
    installed_lines,
    is_entry_script,
    is_of_wheel,
)


@dataclass
class Info:
    """One ``.dist-info``, read."""

    folder: str
    name: str
    version: str
    texts: dict[str, str]
    lines: list[Line]
    entries: frozenset[str]
    rewritten: set[str] = field(default_factory=set)


def own_lines(places: Places, folder: str) -> tuple[list[Line], frozenset[str]]:
    """The lines that the wheel of the ``.dist-info`` called `folder` brought, and which scripts the installer changed.

    Raises:
        OSError: its RECORD cannot be read.
    """
    info = places.site / folder
    record, entry_points = (info / "RECORD").read_bytes().decode("utf-8", "replace"), info / "entry_points.txt"
    names = (
        entry_scripts(entry_points.read_bytes().decode("utf-8", "replace")) if entry_points.is_file() else frozenset()
    )
    lines = [line for line in installed_lines(record, places.layout) if line.place and is_of_wheel(line.place)]
    own = [line for line in lines if not is_entry_script(line.place, names)]
    rewritten = [line.place for line in own if line.place.startswith(SCRIPTS) and is_script(places.path(line.place))]
    return own, frozenset(rewritten)


def installed_identity(places: Places, folder: str) -> dict[str, str]:
    """What that wheel put there, see `record.identity`. Raises OSError."""
    lines, rewritten = own_lines(places, folder)
    return identity(lines, frozenset(), rewritten)


def read_headers(metadata: str) -> dict[str, str]:
    """The headers of a METADATA by their names in lower case; the first of each."""
    found: dict[str, str] = {}
    for line in metadata.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        found.setdefault(key.strip().lower(), value.strip())
    return found


def is_version(text: str) -> bool:
    """Whether `text` is a version (PEP 440)."""
    try:
        return len(str(Version(text))) < 100
    except InvalidVersion:
        return False


def is_script(path: Path) -> bool:
    """Whether the file begins with the name of its interpreter."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def read_direct_url(text: str | None) -> dict[str, Any] | None:
    """PEP 610, or None when there is none that can be read."""
    try:
        said = json.loads(text) if text else None
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def read_tags(wheel: str) -> Iterator[str]:
    """The tags that a WHEEL names."""
    for line in wheel.splitlines():
        if line.startswith("Tag:"):
            yield line.partition(":")[2].strip()


def has_own_path(info: Info) -> bool:
    """Whether it is an editable that was restored: it is imported out of the venv\'s ``src``."""
    return any(line.place == f"{SITE}__capsule__.{info.name}.pth" for line in info.lines)
