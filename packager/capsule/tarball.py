"""A source tree as one tar: the same files give the same bytes, and reading one trusts nothing in it."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import BadInput

_CURE = "Do not use this capsule; ask its author for a new one."


def write_tar(root: Path, names: Iterable[str]) -> bytes:
    """The files `names` (relative, with ``/``) under `root` as a tar (PAX, no times, no owners), sorted.

    Links are kept as links. What is neither file nor link has no bytes and is left out, as in `tree_digest`.

    Raises:
        OSError: for a file that cannot be read.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(set(names)):
            try:
                status = (root / name).lstat()
            except FileNotFoundError:
                continue
            entry = tarfile.TarInfo(name)
            if stat.S_ISLNK(status.st_mode):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(root / name), 0o777
                archive.addfile(entry)
            elif stat.S_ISREG(status.st_mode):
                data = (root / name).read_bytes()  # whole: its size may change while it is read
                entry.size = len(data)
                entry.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
                archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def extract_tar(data: bytes, into: Path) -> None:
    """Write the files of a tar made by `write_tar` into the new folder `into`.

    Links are made last, so nothing is written through one; they may point anywhere, as they did in the tree.

    Raises:
        BadInput: ``capsule-unsafe-name``, or ``capsule-damaged`` for what is no such tar.
    """
    into.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            entries = archive.getmembers()
            for entry in sorted(entries, key=lambda entry: entry.issym()):
                path = into / _checked(entry)
                path.parent.mkdir(parents=True, exist_ok=True)
                if entry.issym():
                    path.symlink_to(entry.linkname)
                else:
                    file = archive.extractfile(entry)
                    path.write_bytes(file.read() if file else b"")
                    path.chmod(0o755 if entry.mode & stat.S_IXUSR else 0o644)
    except (tarfile.TarError, OSError) as error:
        raise BadInput("capsule-damaged", f"A tar of the capsule cannot be unpacked: {error}.", _CURE) from error


def _checked(entry: tarfile.TarInfo) -> str:
    """The entry's name, if it stays in the folder: any that a Linux file can have, unlike the names of a capsule."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != entry.name:
        raise BadInput("capsule-unsafe-name", f"The capsule's tar holds an unsafe name, {entry.name!r}.", _CURE)
    if not (entry.isreg() or entry.issym()):
        raise BadInput("capsule-damaged", f"The capsule's tar holds {entry.name!r}, which is no file.", _CURE)
    return entry.name
