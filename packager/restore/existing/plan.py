"""The plan of a restore into an existing ComfyUI: what is added, changed, kept, disabled; what stands against it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ...capsule import Capsule, Finding
from ...materialise import ModelStore, chosen_packs, fitted, pack_place, refuse_sources, translation
from ...progress import Progress, Report, silent
from ..plan import Plan, Step, system_steps, translated_steps, verify_step
from .draft import ALL, Change, Draft, Mode, Work
from .files import plan_files
from .journal import Journal
from .python import plan_python
from .target import Target, checked_root, read_target
from .trees import in_the_way, plan_core, plan_packs


class ExistingPlan(Plan):
    """What a restore into an existing ComfyUI would do. Making one changes nothing and asks no network.

    Attributes:
        mode: what becomes of what the capsule does not have.
        against: what must be put right before; while there is any, nothing is done.
        backup: bytes of the backup of an earlier restore, which goes when this one is done.
    """

    columns: ClassVar[tuple[str, ...]] = ("does", "what", "item", "before", "from", "size", "risk")

    mode: Mode
    steps: tuple[Change, ...]
    against: tuple[Finding, ...]
    backup: int


def plan_existing(
    capsule: Capsule,
    into: Path,
    mode: Mode,
    *,
    trust: bool = False,
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
    report: Report = silent,
) -> ExistingPlan:
    """Look at `capsule` and at the ComfyUI `into`, and say what will happen.

    Args:
        mode: ``merge`` keeps what the capsule does not have, ``exact`` disables it.
        trust: whether this ComfyUI may say itself where its folders are, which runs its code.

    Raises:
        BadInput: as `checked_root` and `read_target`; ``platform-differs``, ``capsule-unsafe-name``.
        Blocked: ``needs-trust``, ``python-outside``, ``packs-elsewhere``.
        CapsuleError: ``not-carried``.
    """
    root = checked_root(into)
    return draw_up(capsule, root, mode, report, trust=trust, models_from=models_from, store=store or ModelStore())[0]


def draw_up(
    capsule: Capsule,
    root: Path,
    mode: Mode,
    report: Report,
    *,
    trust: bool,
    models_from: Sequence[Path],
    store: ModelStore,
) -> tuple[ExistingPlan, Work, Target]:
    """The plan, what is to be done, and what it was made of; see `plan_existing`."""
    here = fitted(capsule)
    refuse_sources(here, chosen_packs(here, ALL))
    target = read_target(root, here, report, trust=trust)
    reserved = frozenset(f"custom_nodes/{pack_place(pack)}" for pack in here.lock.packs)
    draft = Draft(target=target, mode=mode, reserved=reserved)
    plan_core(draft, here)
    plan_packs(draft, here)
    plan_python(draft, here, trust=trust)
    plan_files(draft, here, report, models_from=models_from, store=store)
    others = (*translated_steps(translation(capsule, here)), *system_steps(here.lock), *_unasked(root, trust))
    draft.changes += [Change(action="check", **step.model_dump()) for step in (*others, verify_step(trust))]
    report(Progress(phase="plan", item="whether anything of it is your own"))
    plan = ExistingPlan(
        capsule=capsule.digests.id,
        target=root,
        mode=mode,
        steps=tuple(draft.changes),
        findings=capsule.lock.findings,
        against=(*draft.against, *in_the_way(draft.trees)),
        backup=Journal(root).backup_size(),
    )
    return plan, draft.work, target


def _unasked(root: Path, trust: bool) -> list[Step]:
    """Folders that only ComfyUI itself knows of, and that are not looked into without a yes."""
    name = "extra_model_paths.yaml"
    if trust or not (root / name).is_file():
        return []
    return [Step(what="model", item=name, source="", risk="not read without --trust, which runs this ComfyUI's code")]
