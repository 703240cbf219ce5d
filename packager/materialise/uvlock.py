"""The lock as uv takes it: the same files and hashes, labelled so that uv finds them in its cache.

uv 0.13 looks a locked wheel up in its cache under the index that the lock names for it, and only if that is one of
its own indexes; a wheel that names none is downloaded again each time. The hash is enforced either way: a cached file
with another one counts as not there. But what is put into the cache under an index's name is later taken, by anyone on
this machine, for what that index gives. So a wheel gets the name of the user's index only if that index itself offers
the very same bytes; all others go under a name of ours.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import tomlkit
from packaging.pylock import Package, Pylock
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ..command import run
from ..errors import CapsuleError
from ..uv import find_uv
from .pylock import LockedPython

#: A name that resolves nowhere (RFC 6761); it is a key in uv's cache, no address that is asked.
OWN_INDEX = "https://comfy-capsule.invalid/simple"


class UvLock(BaseModel):
    """The text of a `pylock.toml` for ``uv pip sync``, and the index arguments that go with it."""

    model_config = ConfigDict(frozen=True)

    text: str
    arguments: tuple[str, ...]


def uv_lock(locked: LockedPython, base: Path) -> UvLock:
    """Derive what uv is given from what the capsule says; pins without a file get what the index has today.

    Args:
        base: the interpreter the venv is made of; never the venv's, which runs the ``.pth`` files in it.

    Raises:
        CapsuleError: ``command-failed`` when the index has no file for a pin that the lock has none of either.
    """
    # What came from another index than the default one spoils the answer for all: it is not there.
    own = [item for item in locked.pylock.packages if item.wheels and item.version and not item.index]
    proved = [f"{item.name}=={item.version}" for item in own]
    try:
        offered = _offered([*proved, *locked.unproved], base)
    except CapsuleError:
        # No network, or one pin that the index does not have: nothing is shared, and the rest must be there.
        offered = _offered(locked.unproved, base)
    wanted = {canonicalize_name(pin.partition("==")[0]) for pin in locked.unproved}
    found = [package for name, package in offered.items() if name in wanted]
    index = _default_index() if offered else ""
    packages = [_labelled(item, offered.get(str(item.name)), index) for item in locked.pylock.packages]
    whole = Pylock(
        lock_version=locked.pylock.lock_version,
        created_by=locked.pylock.created_by,
        requires_python=locked.pylock.requires_python,
        packages=[*packages, *found],
    )
    # What is built looks for its build tools in every index: ours would be asked then, and it does not exist.
    arguments = () if locked.builds else ("--index", OWN_INDEX)
    return UvLock(text=tomlkit.dumps(whole.to_dict()), arguments=arguments)


def uv_lock_offline(locked: LockedPython) -> UvLock:
    """The locked files alone, all under our own name, for a cache that nobody else uses; no index is asked.

    The pins without a known file are left out.
    """
    packages = [_labelled(item, None, "") for item in locked.pylock.packages]
    whole = Pylock(
        lock_version=locked.pylock.lock_version,
        created_by=locked.pylock.created_by,
        requires_python=locked.pylock.requires_python,
        packages=packages,
    )
    return UvLock(text=tomlkit.dumps(whole.to_dict()), arguments=("--index", OWN_INDEX))


def _labelled(item: Package, offered: Package | None, index: str) -> Package:
    if not item.wheels:
        return item
    hashes = {wheel.hashes.get("sha256") for wheel in (offered.wheels if offered else None) or ()}
    shared = index and all(wheel.hashes.get("sha256") in hashes for wheel in item.wheels)
    return replace(item, index=index if shared else OWN_INDEX)


def _offered(pins: list[str] | tuple[str, ...], base: Path) -> dict[str, Package]:
    """What the user's index offers for each of `pins`, by normalized name."""
    if not pins:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        wanted, found = Path(scratch, "pins.txt"), Path(scratch, "pylock.toml")
        wanted.write_text("\n".join(pins) + "\n")
        words = ["--no-deps", "--no-build", "--quiet", "--no-header", "--format", "pylock.toml"]
        run([find_uv(), "pip", "compile", *words, "--python", base, "-o", found, wanted])
        said = Pylock.from_dict(tomllib.loads(found.read_text()))
    return {str(package.name): package for package in said.packages}


def _default_index() -> str:
    """The address of the index that uv takes packages from, by the user's own settings."""
    with tempfile.TemporaryDirectory() as scratch:
        nothing = Path(scratch, "nothing.in")
        nothing.touch()
        said = run([find_uv(), "pip", "compile", "--quiet", "--no-header", "--emit-index-url", nothing])
    line = next((line for line in said.splitlines() if line.startswith("--index-url ")), "")
    return line.removeprefix("--index-url ").strip()
