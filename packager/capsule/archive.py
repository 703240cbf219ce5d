"""The zip around a capsule: deterministic when written, trusted in nothing when read."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..progress import Progress, Report, silent
from .digests import sha256_bytes
from .models import FORMAT
from .parts import LAYOUT, PartWriter, layout_bytes, read_layout
from .vendored import VENDOR, Piece, Vendored

MANIFEST = "MANIFEST.json"
_MAX_ENTRIES = 100_000
_MAX_ENTRY = 1 << 31  # bytes, of an entry that is read into memory
_LOCAL_HEADER = 30  # bytes, before name and extra field (APPNOTE.TXT 4.3.7)
_SHA256 = re.compile(r"[0-9a-f]{64}")
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


#: What an entry is made of: its bytes, or where they lie.
Content = bytes | Vendored


def manifest_bytes(entries: Mapping[str, Content]) -> bytes:
    """`MANIFEST.json` for `entries`: size (bytes) and sha256 of each. Its own sha256 is the capsule digest."""
    listed = {name: {"size": _size(data), "sha256": _sha256(data)} for name, data in sorted(entries.items())}
    return (json.dumps({"format": FORMAT, "entries": listed}, indent=2, ensure_ascii=False) + "\n").encode()


def _size(data: Content) -> int:
    return len(data) if isinstance(data, bytes) else data.size


def _sha256(data: Content) -> str:
    return sha256_bytes(data) if isinstance(data, bytes) else data.sha256


def write_archive(
    path: Path, entries: Mapping[str, Content], *, part: int | None = None, report: Report = silent
) -> str:
    """Write `entries` and their manifest as the zip `path`, whole or not at all; returns the capsule digest.

    Entries are stored, not compressed: deflate gives other bytes from one zlib to the next.

    Args:
        part: where the vendored ones go: None, into the zip; 0, nowhere; else into parts of so many bytes beside it.

    Raises:
        BadInput: ``capsule-unsafe-name``, and what reading the vendored ones raises.
    """
    manifest = manifest_bytes(entries)
    apart = {name: data for name, data in entries.items() if isinstance(data, Vendored) and part is not None}
    inside: dict[str, Content] = {name: data for name, data in entries.items() if name not in apart}
    inside[MANIFEST] = manifest
    if apart and part is not None:
        inside[LAYOUT] = layout_bytes(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    parts = PartWriter(path, part) if apart and part else None
    tell = _Told(entries, report)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(inside.items()):
                info = zipfile.ZipInfo(safe_name(name), _EPOCH)
                info.create_system = 3  # Unix, on every system
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                info.file_size = _size(data)  # it decides on the form of the entry's header
                with archive.open(info, "w") as entry:
                    for chunk in tell.chunks(name, data):
                        entry.write(chunk)
        os.chmod(temporary, 0o644)
        if parts is not None:
            for name, data in sorted(apart.items()):
                for chunk in tell.chunks(name, data):
                    parts.write(chunk)
            path.unlink(missing_ok=True)  # an older one never stands beside the parts of this one
            parts.finish()
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        if parts is not None:
            parts.discard()
        raise
    return sha256_bytes(manifest)


class _Told:
    """The content of entries, a piece at a time; how far the vendored ones are is told."""

    def __init__(self, entries: Mapping[str, Content], report: Report) -> None:
        self._total = sum(data.size for data in entries.values() if isinstance(data, Vendored))
        self._done = 0
        self._report = report

    def chunks(self, name: str, data: Content) -> Iterator[bytes]:
        if isinstance(data, bytes):
            yield data
            return
        for chunk in data.chunks():
            yield chunk
            self._done += len(chunk)
            self._report(Progress(phase="write", item=name, done=self._done, total=self._total, unit="bytes"))


def read_archive(path: Path) -> tuple[dict[str, Content], str]:
    """Every entry of the capsule file `path` but the manifest, checked against it, and the capsule digest.

    Vendored entries are not read: each is proved when it is, see `Vendored.chunks`.

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


def _checked(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, Content], str]:
    infos = {info.filename: info for info in archive.infolist()}
    if MANIFEST not in infos:
        raise BadInput("capsule-foreign", f"{path} is a zip, but not a capsule: it has no {MANIFEST}.", "")
    _check_entries(path, archive.infolist())
    manifest = archive.read(MANIFEST)
    listed = _listed(path, manifest)
    content = infos.keys() - {MANIFEST, LAYOUT}
    apart = {name for name in listed if name.startswith(VENDOR)} if LAYOUT in infos else set()
    if odd := (listed.keys() - apart) ^ content:
        raise _damaged(path, f"{min(odd)} is missing or not in its manifest")
    entries: dict[str, Content] = {}
    for name in sorted(content):
        if name.startswith(VENDOR):
            entries[name] = Vendored(*listed[name], (_piece(path, infos[name]),))
            found = infos[name].file_size, listed[name][1]
        else:
            data = entries[name] = archive.read(name)
            found = len(data), sha256_bytes(data)
        if found != listed[name]:
            raise _damaged(path, f"{name} has other bytes than the manifest says")
    if LAYOUT in infos:
        try:
            entries |= read_layout(path, archive.read(LAYOUT), {safe_name(name): listed[name] for name in apart})
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f"its {LAYOUT} cannot be read") from error
    return entries, sha256_bytes(manifest)


def _check_entries(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """What can be said of the entries before any is read."""
    if len(infos) != len({info.filename for info in infos}) or len(infos) > _MAX_ENTRIES:
        raise _damaged(path, "an entry stands in it twice, or there are too many")
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise _damaged(path, "its entries lie over each other")
    for info in infos:
        safe_name(info.filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.is_dir() or info.flag_bits & 1:
            raise _damaged(path, f"{info.filename} is not a plain file")
        # We only ever store; anything else is not ours, and a bomb needs compression.
        too_large = info.file_size > _MAX_ENTRY and not info.filename.startswith(VENDOR)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or too_large:
            raise _damaged(path, f"{info.filename} is compressed or too large")


def _piece(path: Path, info: zipfile.ZipInfo) -> Piece:
    """Where the bytes of a stored entry lie in the zip."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise _damaged(path, f"{info.filename} is not where its directory says")
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return Piece(path, info.header_offset + _LOCAL_HEADER + name + extra, info.file_size)


def _listed(path: Path, manifest: bytes) -> dict[str, tuple[int, str]]:
    """``{entry: (size, sha256)}``, as `manifest` says."""
    try:
        said = json.loads(manifest)
        version, entries = str(said["format"]), said["entries"]
        listed = {name: (value["size"], value["sha256"]) for name, value in entries.items()}
        known = all(_is_size(size) and bool(_SHA256.fullmatch(sha256)) for size, sha256 in listed.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its {MANIFEST} cannot be read") from error
    check_format(path, version)
    if not known:
        raise _damaged(path, f"its {MANIFEST} cannot be read")
    return listed


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
