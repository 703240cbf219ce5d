"""What lies in one site-packages: its distributions, and every file that is not as their RECORDs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...capsule import ChangedFile
from .record import Layout


class Distribution(BaseModel):
    """One installed distribution, as its ``.dist-info`` says it.

    Attributes:
        name: normalized.
        tags: of the wheel it was installed from.
        direct_url: PEP 610.
        info: the name of its ``.dist-info``.
        record: the digest of what its wheel put there, see `record.record_digest`.
        present: the same without the files that are not there, or hold secrets by their name: what a wheel made of the
            installed files has.
        metadata: the digest of its METADATA as RECORD says it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    tags: tuple[str, ...]
    direct_url: dict[str, Any] | None
    info: str
    record: str
    present: str
    metadata: str

    @property
    def editable(self) -> bool:
        """Whether its modules are imported out of a source tree."""
        return bool(((self.direct_url or {}).get("dir_info") or {}).get("editable"))


class Broken(BaseModel):
    """What is no whole distribution: `reason` goes on after ``The distribution NAME``."""

    model_config = ConfigDict(frozen=True)

    name: str
    reason: str


class Contents(BaseModel):
    """What one site-packages holds.

    Attributes:
        changed, removed: of the files that a RECORD names, by distribution; `added`: those that none names, by the
            distribution whose folder they are in, else `NOBODY`.
        broken: distributions that are not whole, and leftovers.
        odd: files that cannot be given back (links, sockets, what looks like a secret), by the name of their owner.
    """

    model_config = ConfigDict(frozen=True)

    distributions: tuple[Distribution, ...] = ()
    changed: dict[str, tuple[ChangedFile, ...]] = {}
    added: dict[str, tuple[ChangedFile, ...]] = {}
    removed: dict[str, tuple[str, ...]] = {}
    broken: tuple[Broken, ...] = ()
    odd: dict[str, tuple[str, ...]] = {}


class Places:
    """The paths of a site-packages and of the prefix it lies in."""

    def __init__(self, site: Path) -> None:
        self.site = site
        parents = site.parents
        if site.parent.name == "Lib":
            self.prefix = parents[1]
        elif len(parents) > 2 and parents[1].name.startswith("lib"):
            self.prefix = parents[2]
        else:
            self.prefix = site.parent
        self.layout = Layout(site.relative_to(self.prefix).parts)
        self._scripts = self.prefix / ("Scripts" if site.parent.name == "Lib" else "bin")

    def path(self, place: str) -> Path:
        """The path of a `place`, see `Layout.place`."""
        kind, _, rest = place.partition("/")
        return {"site-packages": self.site, "scripts": self._scripts}.get(kind, self.prefix) / rest
