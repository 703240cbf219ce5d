"""Installed distributions taken along into another environment: by what they need, and as wheels of their files."""

from __future__ import annotations

from collections.abc import Collection
from importlib import metadata

from packaging.pylock import Package
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ...cache import Cache
from ...comfy import Install
from .distributions import carried_wheel
from .lock import read_distributions
from .wheelmake import make_wheel, wheel_name


class InstalledNeeds(BaseModel):
    """One installed distribution, as its METADATA says it.

    Attributes:
        requires: its ``Requires-Dist`` lines.
        requires_python: as it says; empty where it does not.
        tags: of the wheel it was installed from, e.g. ``py3-none-any``.
        editable: whether it is imported out of a source tree.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    requires: tuple[str, ...]
    requires_python: str
    tags: tuple[str, ...]
    editable: bool


def installed_needs(install: Install, cache: Cache | None = None) -> dict[str, InstalledNeeds]:
    """What is installed, by normalized name; read from disk, nothing is started."""
    listed: dict[str, metadata.Distribution] = {}
    for item in metadata.distributions(path=[str(folder) for folder in install.site_packages]):
        if item.metadata["Name"]:
            listed.setdefault(str(canonicalize_name(item.metadata["Name"])), item)
    found = {}
    for one in (item.distribution for item in read_distributions(install, cache or Cache())[0]):
        said = listed.get(one.name)
        found[one.name] = InstalledNeeds(
            version=one.version,
            requires=tuple(said.requires or ()) if said else (),
            requires_python=said.metadata["Requires-Python"] if said and "Requires-Python" in said.metadata else "",
            tags=one.tags,
            editable=one.editable,
        )
    return found


def wheels_of_installed(
    install: Install, names: Collection[str], cache: Cache | None = None
) -> tuple[list[Package], dict[str, bytes]]:
    """The distributions `names` as locked packages, and by entry the wheels that give their files as they lie there.

    Raises:
        OSError: a file cannot be read.
        InvalidWheelFilename: a version or tags make no wheel.
    """
    packages, files = [], {}
    for item in read_distributions(install, cache or Cache())[0]:
        one = item.distribution
        if one.name in names:
            wheel, name = make_wheel(one, item.places), wheel_name(one)
            packages.append(carried_wheel(one, name, wheel))
            files[f"python/{name}"] = wheel
    return packages, files
