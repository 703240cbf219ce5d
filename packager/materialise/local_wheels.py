"""Wheels that are at hand, out of the capsule or a folder: installed by uv without an index, each held to its hash.

uv installs a wheel that a lock names by path with a ``direct_url.json`` that holds that path; looked up in a folder of
wheels (``--find-links``) it leaves none. A ``uv_cache.json`` with the time it leaves either way, which goes afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package, PackageWheel
from packaging.utils import InvalidWheelFilename, canonicalize_name, canonicalize_version, parse_wheel_filename
from pydantic import BaseModel, ConfigDict

from ..capsule import Vendored, by_digest, sha256_bytes, sha256_file
from ..errors import BadInput
from .model_store import link_or_copy
from .pylock import LockedPython

#: What ``uv pip install`` is told for them, apart from the folder and the file of requirements.
LOCAL_WHEELS = ("--no-index", "--no-deps", "--no-build", "--no-config", "--require-hashes", "--no-cache")


class LocalWheels(BaseModel):
    """The names of the distributions whose wheel is at hand, and the requirements that name and hold them."""

    model_config = ConfigDict(frozen=True)

    names: frozenset[str]
    requirements: str


def locked_wheels(item: Package) -> list[PackageWheel]:
    """The wheels that `item` may be installed from, one that was installed by its address among them."""
    archive = item.archive
    if archive is None or not archive.url or not is_wheel_name(_base(archive.url)):
        return [wheel for wheel in item.wheels or () if wheel.path or is_wheel_name(wheel.filename)]
    return [PackageWheel(name=_base(archive.url), url=archive.url, size=archive.size, hashes=archive.hashes)]


def is_wheel_name(name: str) -> bool:
    """Whether a file of that name is a wheel, and the name no path."""
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename:
        return False
    return "/" not in name and "\\" not in name


def _base(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def names_at_hand(locked: LockedPython, vendored: Mapping[str, Vendored]) -> frozenset[str]:
    """The distributions whose wheels `gather_wheels` finds in the capsule; `vendored` is what it holds, by entry."""
    held = by_digest(vendored)
    found = {canonicalize_name(pin.partition("==")[0]) for pin in locked.unproved if wheel_of_pin(pin, vendored)}
    for item in locked.pylock.packages:
        if any(wheel.path or wheel.hashes.get("sha256") in held for wheel in locked_wheels(item)):
            found.add(item.name)
    return frozenset(found)


def wheel_of_pin(pin: str, vendored: Mapping[str, Vendored]) -> tuple[str, Vendored] | None:
    """The vendored wheel for ``name==version``, of which the lock knows no file, with the name of its file.

    One that runs everywhere is taken before others: locks of several platforms may be in the capsule.
    """
    name, _, version = pin.partition("==")
    wanted = canonicalize_name(name), canonicalize_version(version, strip_trailing_zero=False)
    found = []
    for entry, item in sorted(vendored.items()):
        file = entry.rpartition("/")[2]
        if item.pieces is None or not is_wheel_name(file):
            continue
        said = parse_wheel_filename(file)
        if (said[0], str(said[1])) == wanted:
            found.append((file, item))
    return min(found, key=lambda one: not one[0].endswith("-none-any.whl"), default=None)


def gather_wheels(
    locked: LockedPython,
    files: Mapping[str, bytes],
    into: Path,
    folders: Sequence[Path] = (),
    vendored: Mapping[str, Vendored] = MappingProxyType({}),
) -> LocalWheels:
    """Put the wheels of `locked` that are at hand into the new folder `into`.

    Args:
        files: what the capsule carries, by entry.
        folders: other folders with wheels, known by their sha256.
        vendored: what else the capsule holds, by entry.

    Raises:
        BadInput: ``capsule-damaged`` when a carried wheel is not there, or another; as `Vendored.chunks`.
    """
    into.mkdir(parents=True)
    at_hand = {sha256_file(path): path for folder in folders for path in sorted(folder.glob("*.whl"))}
    lines: dict[str, str] = {}
    held = by_digest(vendored)
    for item in locked.pylock.packages:
        digest = _gather(item, files, at_hand, held, into)
        if digest:
            lines[str(item.name)] = f"{item.name}=={item.version} --hash=sha256:{digest}\n"
    for pin in locked.unproved:
        if (wheel := wheel_of_pin(pin, vendored)) is not None:
            wheel[1].write_to(into / wheel[0])
            lines[canonicalize_name(pin.partition("==")[0])] = f"{pin} --hash=sha256:{wheel[1].sha256}\n"
    return LocalWheels(names=frozenset(lines), requirements="".join(lines[name] for name in sorted(lines)))


def forget_times(site: Path) -> None:
    """Take uv's notes about local wheels out of the distributions in `site`, and out of their RECORDs."""
    for notes in site.glob("*.dist-info/uv_cache.json"):
        record = notes.with_name("RECORD")
        lines = record.read_bytes().splitlines(keepends=True) if record.is_file() else []
        record.write_bytes(b"".join(line for line in lines if b"/uv_cache.json," not in line))
        notes.unlink()


def note_addresses(locked: LockedPython, names: Collection[str], site: Path) -> None:
    """Write into the distributions of `names` in `site` from which address they are, where they are from one.

    uv does so where it fetches them (PEP 610); a wheel that is at hand it takes for one of an index.
    """
    folders = {canonicalize_name(folder.name.partition("-")[0]): folder for folder in site.glob("*.dist-info")}
    for item in locked.pylock.packages:
        if item.archive is None or item.name not in names or (folder := folders.get(item.name)) is None:
            continue
        said = {"url": item.archive.url, "archive_info": {"hashes": dict(item.archive.hashes)}}
        note = json.dumps(said).encode()
        (folder / "direct_url.json").write_bytes(note)
        digest = base64.urlsafe_b64encode(hashlib.sha256(note).digest()).rstrip(b"=").decode()
        with (folder / "RECORD").open("a", encoding="utf-8", newline="") as record:
            record.write(f"{folder.name}/direct_url.json,sha256={digest},{len(note)}\n")


def _gather(
    item: Package,
    files: Mapping[str, bytes],
    at_hand: Mapping[str, Path],
    vendored: Mapping[str, Vendored],
    into: Path,
) -> str:
    for wheel in locked_wheels(item):
        digest = wheel.hashes.get("sha256", "")
        if wheel.path:
            data = carried(files, wheel.path, digest)
            (into / wheel.filename).write_bytes(data)
            return digest
        if digest in at_hand:
            link_or_copy(at_hand[digest], into / wheel.filename)
            return digest
        if digest in vendored:
            vendored[digest].write_to(into / wheel.filename)
            return digest
    return ""


def carried(files: Mapping[str, bytes], entry: str, sha256: str) -> bytes:
    """The bytes of `entry`. Raises BadInput ``capsule-damaged`` when they are not there, or others."""
    data = files.get(entry)
    if data is None or sha256_bytes(data) != sha256:
        what = "does not hold" if data is None else "holds other bytes as"
        raise BadInput("capsule-damaged", f"The capsule {what} {entry}.", "Export the capsule again.")
    return data
