"""The lock as requirement lines: the one form in which `uv` finds a locked wheel in its own cache again.

Seen with uv 0.13.8: from a ``pylock.toml`` every wheel is downloaded and unpacked into the cache anew at each
install (2.6 GB down and 6 GB of disk for one torch); from ``name==version --hash=…`` it is not.
"""

from __future__ import annotations

from packaging.pylock import Package

from .pylock import LockedPython


def hashed_requirements(locked: LockedPython) -> str:
    """One line for each locked wheel, held to its hash: the same files as `pylock.toml` names, wherever they are.

    Source archives and the pins without a known hash are left out.
    """
    return "".join(f"{line}\n" for item in locked.pylock.packages if (line := _line(item)))


def _line(item: Package) -> str:
    if item.wheels and item.version:
        return f"{item.name}=={item.version} --hash=sha256:{item.wheels[0].hashes['sha256']}"
    if item.archive and str(item.archive.url or "").endswith(".whl"):
        return f"{item.name} @ {item.archive.url} --hash=sha256:{item.archive.hashes['sha256']}"
    return ""
