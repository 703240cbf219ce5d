"""A plan while it is made: what a user is told, and what is then done, written down together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ...capsule import Finding, InputFile, Model, Pack, UsedFile
from ...materialise import Packs
from ..plan import Step
from ..table import Kept
from .target import Target

#: ``merge`` keeps what the capsule does not have, ``exact`` disables it.
Mode = Literal["merge", "exact"]
#: ``drop``: a distribution that is not in the new environment; ``check``: looked at only.
Action = Literal["add", "change", "keep", "disable", "drop", "check"]

#: Which of the capsule's packs an existing install gets.
ALL: Packs = "all"

_OFF = ".disabled"


class Change(Step):
    """One thing of the install: what happens to it, and what it was `before`."""

    action: Action
    before: str = ""

    @property
    def line(self) -> tuple[str, ...]:
        """As a line of the table, after `ExistingPlan.columns`."""
        return (self.action, self.what, self.item, self.before, *super().line[2:])


class Work(BaseModel):
    """What is to be made, and where it goes. Names are relative to ComfyUI's folder, with ``/``.

    Attributes:
        core: whether ComfyUI itself is made anew.
        packs, models, inputs, files: of the capsule, those to be made.
        backed_up: what goes into the backup, and comes back from there only.
        aside: what gets another name beside its own, for good: from, to.
        carried_over: the checkouts, of packs, whose ignored files the new one gets.
        python: whether the environment is made anew; taken_along: installed distributions that come into it.
        kept: what is there beside the capsule's afterwards.
        trees: the checkouts that are replaced or moved: packs by their place, ComfyUI itself by ``""``.
    """

    model_config = ConfigDict(frozen=True)

    core: bool
    packs: tuple[Pack, ...]
    models: tuple[Model, ...]
    inputs: tuple[InputFile, ...]
    files: tuple[UsedFile, ...]
    backed_up: tuple[str, ...]
    aside: dict[str, str]
    carried_over: tuple[str, ...]
    python: bool
    taken_along: tuple[str, ...]
    kept: Kept
    trees: dict[str, Path]


@dataclass
class Draft:
    """`Work` and what is told of it, filled part by part."""

    target: Target
    mode: Mode
    reserved: frozenset[str]  # names that the capsule has itself
    changes: list[Change] = field(default_factory=list)
    against: list[Finding] = field(default_factory=list)
    core: bool = False
    packs: list[Pack] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    files: list[UsedFile] = field(default_factory=list)
    backed_up: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)
    carried_over: list[str] = field(default_factory=list)
    python: bool = False
    taken_along: tuple[str, ...] = ()
    kept_packs: set[str] = field(default_factory=set)
    kept_distributions: frozenset[str] = frozenset()
    trees: dict[str, Path] = field(default_factory=dict)

    def is_there(self, name: str) -> bool:
        """Whether something, be it a link to nothing, stands at `name`."""
        return os.path.lexists(self.target.root / name)

    def put_aside(self, name: str) -> str:
        """Have what is at `name` renamed beside it, so that nothing loads it; returns the new name."""
        number, free = 1, f"{name}{_OFF}"
        while self.is_there(free) or free in self.reserved or free in self.aside.values():
            number += 1
            free = f"{name}.{number}{_OFF}"
        self.aside[name] = free
        return free

    def check_place(self, name: str) -> None:
        """Whether the folder that `name` comes into can be renamed into: it is the install's own, on its own disk."""
        root = self.target.root
        folder = next(path for path in (root / name).parents if path.exists())
        if folder.resolve().is_relative_to(root) and folder.stat().st_dev == root.stat().st_dev:
            return
        where = folder.resolve() if not folder.resolve().is_relative_to(root) else f"another disk, mounted at {folder}"
        finding = Finding(
            code="place-elsewhere",
            subject=name,
            message=f"{name} would have to be changed, and its folder leads to {where}, which may be others' too.",
            cure="Put it there by hand, or restore into a new folder.",
            blocks=True,
        )
        self.against.append(finding)

    @property
    def work(self) -> Work:
        """What is to be done."""
        return Work(
            core=self.core,
            packs=tuple(self.packs),
            models=tuple(self.models),
            inputs=tuple(self.inputs),
            files=tuple(self.files),
            backed_up=tuple(self.backed_up),
            aside=self.aside,
            carried_over=tuple(self.carried_over),
            python=self.python,
            taken_along=self.taken_along,
            kept=Kept(packs=frozenset(self.kept_packs), distributions=self.kept_distributions),
            trees=self.trees,
        )
