"""What the package index offers for exact versions: asked through `uv`, so the user's own client settings hold."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import tomlkit
from packaging.pylock import PackageSdist, PackageWheel, Pylock
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ..command import run, without_credentials
from ..errors import CapsuleError
from ..uv import find_uv

# In uv's own words; any of them means that no answer is to be had, for this or any other name.
_UNREACHABLE = ("Failed to fetch", "error sending request", "dns error", "Connection refused", "network connectivity")


_File = TypeVar("_File", PackageWheel, PackageSdist)


class Offers(BaseModel):
    """The files on the index, by normalized distribution name."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    wheels: dict[str, tuple[PackageWheel, ...]] = {}
    sdists: dict[str, PackageSdist] = {}
    unreachable: bool = False


def ask_index(pins: Sequence[str], python: Path) -> Offers:
    """The files offered for each of `pins` (``name==version``); those the index does not have are left out.

    Args:
        python: the interpreter whose platform the wheels are for.
    """
    if not pins:
        return Offers()
    try:
        return _read(_compile(pins, python))
    except CapsuleError as error:
        if error.code != "command-failed":
            raise
        if any(words in error.message for words in _UNREACHABLE):
            return Offers(unreachable=True)
    if len(pins) == 1:
        return Offers()
    # One version that the index does not have spoils the whole answer: halve until it stands alone.
    middle = len(pins) // 2
    left, right = ask_index(pins[:middle], python), ask_index(pins[middle:], python)
    return Offers(
        wheels={**left.wheels, **right.wheels},
        sdists={**left.sdists, **right.sdists},
        unreachable=left.unreachable or right.unreachable,
    )


def _compile(pins: Sequence[str], python: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        wanted, answer = Path(scratch, "pins.txt"), Path(scratch, "pylock.toml")
        wanted.write_text("\n".join(pins) + "\n")
        words = ["--no-deps", "--no-build", "--quiet", "--no-header", "--format", "pylock.toml"]
        run([find_uv(), "pip", "compile", *words, "--python", python, "-o", answer, wanted])
        return answer.read_text()


def _read(text: str) -> Offers:
    lock = Pylock.from_dict(tomlkit.parse(text).unwrap())
    wheels = {canonicalize_name(item.name): tuple(map(_public, item.wheels or ())) for item in lock.packages}
    sdists = {canonicalize_name(item.name): _public(item.sdist) for item in lock.packages if item.sdist is not None}
    return Offers(wheels=wheels, sdists=sdists)


def _public(file: _File) -> _File:
    """A private index's files have the user's password or token in their addresses."""
    return file if file.url is None else replace(file, url=without_credentials(file.url))
