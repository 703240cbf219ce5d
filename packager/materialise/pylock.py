"""Reading a capsule's `pylock.toml` (PEP 751): what is locked, what no file is known of, what must be built."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ..errors import BadInput


class LockedPython(BaseModel):
    """What `pylock.toml` says: the locked packages, and the pins of which it knows no file.

    Attributes:
        unproved: ``name==version`` each; to be had from an index, without a hash to hold it to.
        builds: the names that come as source, so that installing them runs their code.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    pylock: Pylock
    unproved: tuple[str, ...]
    builds: tuple[str, ...]

    def versions(self) -> dict[str, str]:
        """``{normalized name: version}`` of everything that must be installed; empty where any will do."""
        pinned = {str(item.name): str(item.version or "") for item in self.pylock.packages}
        return pinned | {_name(pin): pin.partition("==")[2] for pin in self.unproved}


def read_pylock(text: str) -> LockedPython:
    """Read a capsule's `pylock.toml` (PEP 751, by `packaging.pylock`).

    Raises:
        BadInput: ``pylock-unreadable``.
    """
    try:
        said = tomllib.loads(text)
        pylock = Pylock.from_dict(said)
        pylock.validate()
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        message = f"The capsule's pylock.toml cannot be read: {error}."
        raise BadInput("pylock-unreadable", message, "Export the capsule again.") from error
    unproved = tuple(str(pin) for pin in ((pylock.tool or {}).get("comfy-capsule") or {}).get("unproved", ()))
    for pin in unproved:
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", pin):  # it becomes a line for uv
            message = f"The capsule's pylock.toml names {pin!r}, which is no name==version."
            raise BadInput("pylock-unreadable", message, "Export the capsule again.")
    return LockedPython(pylock=pylock, unproved=unproved, builds=tuple(_builds(pylock.packages)))


def _builds(packages: Sequence[Package]) -> list[str]:
    built = []
    for item in packages:
        archive = item.archive and not str(item.archive.url or item.archive.path or "").endswith(".whl")
        if item.vcs or item.directory or archive or (item.sdist and not item.wheels):
            built.append(str(item.name))
    return built


def _name(pin: str) -> str:
    return canonicalize_name(pin.partition("==")[0])
