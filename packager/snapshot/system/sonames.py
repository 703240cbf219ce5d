"""The project's own tables of what a system gives: which package holds a library, and what no file says."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field


class Tables(BaseModel):
    """`sonames.toml` and `system.toml`. A library is named by its soname, a program ``bin/NAME``.

    Attributes:
        debian: to its package in Debian 12; `trixie` to that of Debian 13 where it differs, empty for none.
        arm64: as `debian`, for the few that are named otherwise there.
        driver, driver_programs: what comes with the host's graphics driver, as shell patterns.
        by_name: normalized distribution name to what it opens by name.
        linked: normalized distribution name to what its Linux wheels are linked to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    debian: dict[str, str]
    trixie: dict[str, str]
    arm64: dict[str, str]
    driver: tuple[str, ...]
    driver_programs: tuple[str, ...] = Field(alias="driver-programs")
    by_name: dict[str, tuple[str, ...]] = Field(alias="by-name")
    linked: dict[str, tuple[str, ...]]

    def package(self, name: str) -> str:
        """The package that holds it in Debian 12; empty when it is not known."""
        return self.debian.get(name) or self.arm64.get(name, "")

    def is_driver(self, soname: str) -> bool:
        """Whether the library comes with the host's graphics driver."""
        return any(fnmatchcase(soname, pattern) for pattern in self.driver)


@cache
def tables() -> Tables:
    """The tables, read once."""
    texts = [files(__package__).joinpath(name).read_text("utf-8") for name in ("sonames.toml", "system.toml")]
    return Tables.model_validate({key: value for text in texts for key, value in tomllib.loads(text).items()})


def package_in(name: str, release: str) -> str:
    """The package that holds the library or program `name` in `release`, a codename; empty when it is not known.

    Releases other than Debian 12 and its like are taken to have Debian 13's names, where a library is there at all.
    """
    said = tables()
    old = said.package(name)
    return old if release in _OLD_NAMES else said.trixie.get(name, old)


# Releases from before the renames of 2024 (64-bit time_t): Debian 11 and 12, Ubuntu 22.04 and those between.
_OLD_NAMES = frozenset({"bullseye", "bookworm", "focal", "jammy", "kinetic", "lunar", "mantic"})
