"""The plan of a sealing: what goes in and from where, how large the capsule becomes, and what stays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Finding, Model, Vendored, bundles, by_digest
from ..command import without_credentials
from ..materialise import ModelStore, wheel_of_pin
from ..progress import Report
from .contents import WHEELS, Contents, What, contents_of, model_entry, not_vendored
from .models import models_here


class SealingStep(BaseModel):
    """One file that goes in. `size` is in bytes, 0 where it is not known before."""

    model_config = ConfigDict(frozen=True)

    entry: str
    item: str
    source: str
    size: int = 0


class SealingPlan(BaseModel):
    """What sealing would do.

    Attributes:
        bytes: of the sealed capsule, as far as it is known: without the steps of unknown size.
        unknown: how many these are.
    """

    model_config = ConfigDict(frozen=True)

    capsule: str  # its id
    steps: tuple[SealingStep, ...]
    bytes: int
    unknown: int
    findings: tuple[Finding, ...]


def plan_sealing(
    capsule: Capsule,
    what: What,
    *,
    platforms: Sequence[str] = (),
    models_from: Sequence[Path] = (),
    checkouts: Mapping[str, Path] | None = None,
    store: ModelStore | None = None,
    report: Report,
) -> SealingPlan:
    """Say what `seal` would do with the same arguments. Nothing is written, and no network asked.

    Raises:
        BadInput: ``platform-differs``, ``no-models-folder``.
    """
    contents = contents_of(capsule, what, platforms)
    here = models_here(contents.models, store or ModelStore(), models_from, report)
    contents = without_absent(contents, capsule, here)
    at_hand, inside = checkouts or {}, by_digest(capsule.vendored)
    steps = []
    for commit in contents.commits:
        place = at_hand.get(commit.checkout.commit)
        source = str(place) if place else without_credentials(commit.checkout.origin)
        kept = bundles(capsule.vendored).get(commit.checkout.commit)
        steps.append(_step(commit.entry, commit.subject, source, 0, kept))
    for wheel in contents.wheels:
        source = urlsplit(wheel.url).hostname or without_credentials(wheel.url)
        steps.append(_step(wheel.entry, wheel.name, source, wheel.size, inside.get(wheel.sha256)))
    for wanted in contents.pins:
        pinned = wheel_of_pin(wanted.pin, capsule.vendored)
        entry = f"{WHEELS}{pinned[0]}" if pinned else WHEELS
        steps.append(_step(entry, wanted.pin, "the package index", 0, pinned[1] if pinned else None))
    for model in contents.models:
        source = str(here.get(model.sha256) or ", else ".join(without_credentials(each.url) for each in model.sources))
        name = f"{model.folder}/{model.name}"
        steps.append(_step(model_entry(model), name, source, model.size, inside.get(model.sha256)))
    carried = sum(len(data) for data in capsule.entries().values() if isinstance(data, bytes))
    return SealingPlan(
        capsule=capsule.digests.id,
        steps=tuple(steps),
        bytes=carried + sum(step.size for step in steps),
        unknown=sum(not step.size for step in steps),
        findings=contents.findings,
    )


def without_absent(contents: Contents, capsule: Capsule, here: Mapping[str, Path]) -> Contents:
    """`contents` without the models that are neither in the capsule nor `here`, and of which no address is known."""
    inside = by_digest(capsule.vendored)
    absent = [item for item in contents.models if not (item.sha256 in here or item.sha256 in inside or item.sources)]
    return contents.model_copy(
        update={
            "models": tuple(item for item in contents.models if item not in absent),
            "findings": (*contents.findings, *map(_absent, absent)),
        }
    )


def _step(entry: str, item: str, source: str, size: int, kept: Vendored | None) -> SealingStep:
    """The step; `kept` is what the capsule has already."""
    if kept is not None:
        source, size = "the capsule", kept.size
    return SealingStep(entry=entry, item=item, source=source, size=size)


def _absent(model: Model) -> Finding:
    name = f"{model.folder}/{model.name}"
    message = f"The model {name} ({model.size:,} bytes) is not on this machine, and no address of it is known."
    return not_vendored(name, message, "Put the file into a folder and name that with --models-from DIR.")
