"""A wheel made again of what is installed: the same files give the same bytes, and installed it is the same."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from ...secrets import is_secret_file
from .contents import Distribution, Places
from .distinfo import own_lines
from .record import SCRIPTS, SITE

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
# What pip and uv make of the first line ``#!python`` of a script: a path, or, where that is too long or the
# environment can be moved, three lines that are both shell and Python.
_SHEBANG = re.compile(rb"\A#!/bin/sh\n'''exec' .*\n' '''\n|\A#!.*python.*\n")


class Packed(NamedTuple):
    """A file in a wheel; an empty `digest` (``sha256=…``) means that of the bytes, no bytes that it is only listed."""

    data: bytes | None
    mode: int = 0o644
    digest: str = ""


def wheel_name(item: Distribution) -> str:
    """The file name of a wheel of `item`, by the binary distribution format.

    Raises:
        InvalidWheelFilename: its version or tags make none.
    """
    parts = [tag.split("-") for tag in item.tags] or [["py3", "none", "any"]]
    if any(len(part) != 3 for part in parts):
        raise InvalidWheelFilename(f"{item.name} has tags that are none")
    tags = "-".join(".".join(dict.fromkeys(part[place] for part in parts)) for place in range(3))
    name = f"{item.name.replace('-', '_')}-{Version(item.version)}-{tags}.whl"
    parse_wheel_filename(name)
    if not re.fullmatch(r"[A-Za-z0-9._+!-]+", name):
        raise InvalidWheelFilename(f"{name!r} is no file name")
    return name


def installed_size(item: Distribution, places: Places) -> int:
    """How many bytes the files of `item` have. Raises OSError."""
    paths = (places.path(line.place) for line in own_lines(places, item.info)[0])
    return sum(path.stat().st_size for path in paths if path.is_file())


def secret_places(item: Distribution, places: Places) -> list[str]:
    """The files of `item` that hold secrets by their name, which no wheel of it gets. Raises OSError."""
    lines = own_lines(places, item.info)[0]
    return sorted(line.place for line in lines if is_secret_file(line.place, b"") and places.path(line.place).is_file())


def make_wheel(item: Distribution, places: Places) -> bytes:
    """The wheel that gives the files of `item` as they lie there, with the RECORD that is installed.

    Not in it, though RECORD lists them: files that hold secrets by their name, and links to anything but what was
    installed, for they may lead to any file of this user.

    Raises:
        OSError: a file cannot be read.
    """
    lines, rewritten = own_lines(places, item.info)
    files = {}
    for line in lines:
        path = places.path(line.place)
        data = path.read_bytes() if path.is_file() and not is_secret_file(line.place, b"") else None
        if data is not None and path.is_symlink() and digest_of(data) != line.digest:
            data = None
        digest = line.digest
        if data is not None and line.place in rewritten:
            data, digest = _SHEBANG.sub(b"#!python\n", data), ""
        files[_name_in_wheel(line.place, item)] = Packed(data, _mode(path, line.place), digest)
    return pack(item.info, files)


def metadata_files(item: Distribution, places: Places) -> dict[str, Packed]:
    """The files of its ``.dist-info`` alone, without what an installer put there. Raises OSError."""
    folder = f"{SITE}{item.info}/"
    chosen = [line for line in own_lines(places, item.info)[0] if line.place.startswith(folder)]
    return {
        line.place.removeprefix(SITE): Packed(places.path(line.place).read_bytes(), 0o644, line.digest)
        for line in chosen
    }


def pack(info: str, files: Mapping[str, Packed]) -> bytes:
    """The zip of `files`, by name, with a RECORD in the folder `info` that comes last."""
    record = io.StringIO()
    writer = csv.writer(record, lineterminator="\n")
    for name, file in sorted(files.items()):
        size = "" if file.data is None else len(file.data)
        writer.writerow([name, file.digest or digest_of(file.data or b""), size])
    writer.writerow([f"{info}/RECORD", "", ""])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, file in sorted(files.items()):
            if file.data is not None:
                _add(archive, name, file.data, file.mode)
        _add(archive, f"{info}/RECORD", record.getvalue().encode(), 0o644)
    return packed.getvalue()


def digest_of(data: bytes) -> str:
    """The digest of `data` as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _name_in_wheel(place: str, item: Distribution) -> str:
    data = item.info.removesuffix(".dist-info") + ".data"
    kind, _, rest = place.partition("/")
    return rest if kind == "site-packages" else f"{data}/{'scripts' if kind == 'scripts' else 'data'}/{rest}"


def _mode(path: Path, place: str) -> int:
    if place.startswith(SCRIPTS):
        return 0o755  # whatever the installer made of it
    return 0o755 if path.is_file() and path.stat().st_mode & stat.S_IXUSR else 0o644


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # Unix, on every system
    info.external_attr = (stat.S_IFREG | mode) << 16
    archive.writestr(info, data)
