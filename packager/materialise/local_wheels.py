"""Wheels that are at hand, out of the capsule or a folder: installed by uv without an index, each held to its hash.

uv installs a wheel that a lock names by path with a ``direct_url.json`` that holds that path; looked up in a folder of
wheels (``--find-links``) it leaves none. A ``uv_cache.json`` with the time it leaves either way, which goes afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.pylock import Package
from pydantic import BaseModel, ConfigDict

from ..capsule import sha256_bytes, sha256_file
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


def gather_wheels(
    locked: LockedPython, files: Mapping[str, bytes], into: Path, folders: Sequence[Path] = ()
) -> LocalWheels:
    """Put the wheels of `locked` that are at hand into the new folder `into`.

    Args:
        files: what the capsule carries, by entry.
        folders: other folders with wheels, known by their sha256.

    Raises:
        BadInput: ``capsule-damaged`` when a carried wheel is not there, or another.
    """
    into.mkdir(parents=True)
    at_hand = {sha256_file(path): path for folder in folders for path in sorted(folder.glob("*.whl"))}
    lines: dict[str, str] = {}
    for item in locked.pylock.packages:
        name = _gather(item, files, at_hand, into)
        if name:
            lines[str(item.name)] = f"{item.name}=={item.version} --hash=sha256:{name}\n"
    return LocalWheels(names=frozenset(lines), requirements="".join(lines[name] for name in sorted(lines)))


def forget_times(site: Path) -> None:
    """Take uv's notes about local wheels out of the distributions in `site`, and out of their RECORDs."""
    for notes in site.glob("*.dist-info/uv_cache.json"):
        record = notes.with_name("RECORD")
        lines = record.read_bytes().splitlines(keepends=True) if record.is_file() else []
        record.write_bytes(b"".join(line for line in lines if b"/uv_cache.json," not in line))
        notes.unlink()


def _gather(item: Package, files: Mapping[str, bytes], at_hand: Mapping[str, Path], into: Path) -> str:
    for wheel in item.wheels or ():
        digest = wheel.hashes.get("sha256", "")
        if wheel.path:
            data = carried(files, wheel.path, digest)
            (into / wheel.filename).write_bytes(data)
            return digest
        if digest in at_hand:
            link_or_copy(at_hand[digest], into / wheel.filename)
            return digest
    return ""


def carried(files: Mapping[str, bytes], entry: str, sha256: str) -> bytes:
    """The bytes of `entry`. Raises BadInput ``capsule-damaged`` when they are not there, or others."""
    data = files.get(entry)
    if data is None or sha256_bytes(data) != sha256:
        what = "does not hold" if data is None else "holds other bytes as"
        raise BadInput("capsule-damaged", f"The capsule {what} {entry}.", "Export the capsule again.")
    return data
