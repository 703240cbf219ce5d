"""Reading a capsule's `pylock.toml` (PEP 751): what is locked, what is carried, what must be built."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import replace

from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from ..capsule import Editable, PythonTool, safe_name
from ..errors import BadInput

_PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+")  # it becomes a line for uv
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MODULE = re.compile(r"\w+(\.\w+)*")
_PLACES = ("site-packages", "scripts", "prefix")


class LockedPython(BaseModel):
    """What `pylock.toml` says: the locked packages, and the pins of which it knows no file.

    Attributes:
        unproved: ``name==version`` each; to be had from an index, without a hash to hold it to.
        builds: the names that come as source, so that installing them runs their code.
        tool: what else the lock says of the installed files.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    pylock: Pylock
    unproved: tuple[str, ...]
    builds: tuple[str, ...]
    tool: PythonTool = PythonTool()

    def versions(self) -> dict[str, str]:
        """``{normalized name: version}`` of everything that must be installed; empty where any will do."""
        pinned = {str(item.name): str(item.version or "") for item in self.pylock.packages}
        return pinned | {_name(pin): pin.partition("==")[2] for pin in self.unproved}

    def commits(self) -> dict[str, str]:
        """The commits of those that are built from a repository, by name."""
        return {str(item.name): item.vcs.commit_id for item in self.pylock.packages if item.vcs is not None}

    def carried(self) -> dict[str, str]:
        """``{entry: sha256}`` of everything that the lock says is in the capsule."""
        wheels = {wheel.path: wheel.hashes["sha256"] for wheel in self._own_wheels() if wheel.path}
        trees = {item.tree: item.sha256 for item in self.tool.editables}
        changed = {file.entry: file.sha256 for files in self.tool.changed.values() for file in files}
        return {**wheels, **trees, **changed}

    def without(self, names: Collection[str]) -> LockedPython:
        """The same without what is called one of `names`."""
        packages = [item for item in self.pylock.packages if item.name not in names]
        pins = tuple(pin for pin in self.unproved if _name(pin) not in names)
        return self.model_copy(update={"pylock": replace(self.pylock, packages=packages), "unproved": pins})

    def _own_wheels(self) -> list[PackageWheel]:
        return [wheel for item in self.pylock.packages for wheel in item.wheels or () if wheel.path]


def read_pylock(text: str) -> LockedPython:
    """Read a capsule's `pylock.toml` (PEP 751, by `packaging.pylock`).

    Raises:
        BadInput: ``pylock-unreadable``, also when it names a path outside the capsule.
    """
    try:
        said = tomllib.loads(text)
        pylock = Pylock.from_dict(said)
        pylock.validate()
        tool = PythonTool.model_validate((pylock.tool or {}).get("comfy-capsule") or {})
    except (tomllib.TOMLDecodeError, PylockValidationError, ValidationError) as error:
        raise _unreadable(" ".join(str(error).split())) from error
    for item in pylock.packages:
        _check_paths(item)
    for pin in tool.unproved:
        if not _PIN.fullmatch(pin):
            raise _unreadable(f"{pin!r} is no name==version")
    for editable in tool.editables:
        _check_editable(editable)
    for place in [*(file.path for files in tool.changed.values() for file in files), *_removed(tool)]:
        _check_place(place)
    return LockedPython(pylock=pylock, unproved=tool.unproved, builds=tuple(_builds(pylock.packages)), tool=tool)


def _removed(tool: PythonTool) -> list[str]:
    return [place for places in tool.removed.values() for place in places]


def _check_paths(item: Package) -> None:
    """Nothing is taken from a path but wheels out of the capsule, which must have a hash."""
    for source in (item.vcs, item.archive, item.sdist, item.directory):
        if getattr(source, "path", None):
            raise _unreadable(f"{item.name} comes from a path")
    for wheel in item.wheels or ():
        if wheel.path and (
            not re.fullmatch(r"python/[^/]+\.whl", safe_name(wheel.path)) or "sha256" not in wheel.hashes
        ):
            raise _unreadable(f"{item.name} comes from the path {wheel.path!r}")


def _check_editable(said: Editable) -> None:
    names = [*said.paths, *said.modules.values()]
    modules = all(_MODULE.fullmatch(name) for name in said.modules)
    if not (_NAME.fullmatch(said.name) and modules and re.fullmatch(r"python/[^/]+\.tar", said.tree)):
        raise _unreadable(f"it describes the editable {said.name!r} in an odd way")
    for name in (name for name in names if name != "."):
        safe_name(name)


def _check_place(place: str) -> None:
    if place.partition("/")[0] not in _PLACES or "/" not in safe_name(place):
        raise _unreadable(f"{place!r} is no place of a file")


def _builds(packages: Sequence[Package]) -> list[str]:
    built = []
    for item in packages:
        archive = item.archive and not str(item.archive.url or item.archive.path or "").endswith(".whl")
        if item.vcs or item.directory or archive or (item.sdist and not item.wheels):
            built.append(str(item.name))
    return built


def _name(pin: str) -> str:
    return canonicalize_name(pin.partition("==")[0])


def _unreadable(why: str) -> BadInput:
    message = f"The capsule's pylock.toml cannot be read: {why}."
    return BadInput("pylock-unreadable", message, "Export the capsule again.")
