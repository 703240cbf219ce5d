"""The zip around a capsule: deterministic when written, trusted in nothing when read."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .digests import sha256_bytes
from .models import FORMAT

MANIFEST = "MANIFEST.json"
_MAX_ENTRIES = 100_000
_MAX_ENTRY = 1 << 31  # bytes; larger ones come with split vendoring
_ODD = re.compile(r'[\x00-\x1f\\:<>|"?*]')  # what some system's file names do not hold
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say; no time is in a capsule


def safe_name(name: str) -> str:
    """`name` if it is a plain relative path with ``/`` that stays inside its folder.

    Raises:
        BadInput: ``capsule-unsafe-name`` for absolute paths, ``..``, backslashes, drive letters, control characters.
    """
    plain = not _ODD.search(name) and not any(part in ("", ".", "..") for part in name.split("/"))
    if not plain:
        raise BadInput("capsule-unsafe-name", f"The capsule holds an entry with an unsafe name, {name!r}.", _CURE)
    return name


_CURE = "Do not use this file; ask its author for a new one."


def manifest_bytes(entries: Mapping[str, bytes]) -> bytes:
    """`MANIFEST.json` for `entries`: size (bytes) and sha256 of each. Its own sha256 is the capsule digest."""
    listed = {name: {"size": len(data), "sha256": sha256_bytes(data)} for name, data in sorted(entries.items())}
    return (json.dumps({"format": FORMAT, "entries": listed}, indent=2, ensure_ascii=False) + "\n").encode()


def write_archive(path: Path, entries: Mapping[str, bytes]) -> str:
    """Write `entries` and their manifest as the zip `path`, whole or not at all; returns the capsule digest.

    Entries are stored, not compressed: deflate gives other bytes from one zlib to the next.
    """
    manifest = manifest_bytes(entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted({**entries, MANIFEST: manifest}.items()):
                info = zipfile.ZipInfo(safe_name(name), _EPOCH)
                info.create_system = 3  # Unix, on every system
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return sha256_bytes(manifest)


def read_archive(path: Path) -> tuple[dict[str, bytes], str]:
    """Every entry of the capsule file `path` but the manifest, checked against it, and the capsule digest.

    Raises:
        BadInput: ``capsule-not-found``, ``capsule-unreadable`` (not a zip, truncated), ``capsule-foreign`` (a zip
            without our manifest), ``capsule-unsafe-name``, ``capsule-damaged`` (an entry missing, unlisted, doubled,
            too large, compressed in an unknown way, or with another digest), ``capsule-too-new``.
    """
    if not path.is_file():
        raise BadInput("capsule-not-found", f"There is no capsule at {path}.", "Give the path of a .capsule.zip file.")
    try:
        with zipfile.ZipFile(path) as archive:
            return _checked(path, archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(
            "capsule-unreadable", f"{path} is not a whole zip file ({error}).", "Copy or export the capsule again."
        ) from error


def _checked(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, bytes], str]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if MANIFEST not in names:
        raise BadInput("capsule-foreign", f"{path} is a zip, but not a capsule: it has no {MANIFEST}.", "")
    if len(names) != len(set(names)) or len(names) > _MAX_ENTRIES:
        raise _damaged(path, "an entry stands in it twice, or there are too many")
    for info in infos:
        safe_name(info.filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.is_dir() or info.flag_bits & 1:
            raise _damaged(path, f"{info.filename} is not a plain file")
        # We only ever store; anything else is not ours, and a bomb needs compression.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > _MAX_ENTRY:
            raise _damaged(path, f"{info.filename} is compressed or too large")
    manifest = archive.read(MANIFEST)
    listed = _listed(path, manifest)
    if set(listed) != set(names) - {MANIFEST}:
        odd = min(set(listed) ^ (set(names) - {MANIFEST}))
        raise _damaged(path, f"{odd} is missing or not in its manifest")
    entries = {}
    for name, said in listed.items():
        data = archive.read(name)
        if len(data) != said.get("size") or sha256_bytes(data) != said.get("sha256"):
            raise _damaged(path, f"{name} has other bytes than the manifest says")
        entries[name] = data
    return entries, sha256_bytes(manifest)


def _listed(path: Path, manifest: bytes) -> dict[str, dict[str, Any]]:
    try:
        said = json.loads(manifest)
        version, listed = str(said["format"]), said["entries"]
        known = isinstance(listed, dict) and all(isinstance(value, dict) for value in listed.values())
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"its {MANIFEST} cannot be read") from error
    if not known:
        raise _damaged(path, f"its {MANIFEST} cannot be read")
    check_format(path, version)
    return dict(listed)


def check_format(path: Path, version: object) -> None:
    """Refuse a capsule of a newer major format version: ``capsule-too-new``."""
    major = str(version).partition(".")[0]
    if not major.isdecimal():
        raise _damaged(path, f"its format version is {version!r}")
    if int(major) > int(FORMAT.partition(".")[0]):
        raise BadInput(
            "capsule-too-new",
            f"{path} has format {version}; this Comfy Capsule reads up to {FORMAT}.",
            "Update Comfy Capsule.",
        )


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput("capsule-damaged", f"{path} is damaged: {what}.", _CURE)
