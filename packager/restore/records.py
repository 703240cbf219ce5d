"""Whether the installed files of a Python environment are those of its wheels: each against its RECORD line.

The format is that of PEP 376 and the wheel specification: ``path,algorithm=urlsafe-base64-digest,size``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

# What a venv itself puts beside the distributions.
_OF_THE_VENV = frozenset({"_virtualenv.py", "_virtualenv.pth", "distutils-precedence.pth"})


class _Line(NamedTuple):
    name: str  # of the distribution
    path: Path
    digest: str
    size: str


def changed_files(site_packages: Path) -> dict[str, list[str]]:
    """Files that are changed, missing, or belong to no distribution, by normalized distribution name.

    Those that belong to none stand under ``""``. Byte code is not looked at. Nothing is run.
    """
    lines = [line for info in sorted(site_packages.glob("*.dist-info")) for line in _read(info, site_packages)]
    found: dict[str, list[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as executor:  # hashing lets other threads run
        for line, same in zip(lines, executor.map(_is_same, lines, chunksize=64), strict=True):
            if not same:
                found.setdefault(line.name, []).append(os.path.relpath(line.path, site_packages))
    known = {line.path for line in lines}
    extra = [str(path.relative_to(site_packages)) for path in _files(site_packages) if path not in known]
    if extra:
        found[""] = extra
    return found


def _read(info: Path, site_packages: Path) -> Iterator[_Line]:
    name = canonicalize_name(info.name.removesuffix(".dist-info").rpartition("-")[0])
    record = info / "RECORD"
    if not record.is_file():
        yield _Line(name, record, "missing", "")
        return
    with record.open(newline="", encoding="utf-8") as file:
        for path, digest, size in (row[:3] for row in csv.reader(file) if len(row) >= 3):
            yield _Line(name, Path(os.path.normpath(site_packages / path)), digest, size)


def _is_same(line: _Line) -> bool:
    if "__pycache__" in line.path.parts:
        return True
    try:
        if line.size and line.path.stat().st_size != int(line.size):
            return False
        algorithm, _, digest = line.digest.partition("=")
        if not algorithm:
            return line.path.is_file()
        with line.path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).digest()
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == digest


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not (Path(base) == folder and name in _OF_THE_VENV):
                yield Path(base, name)
