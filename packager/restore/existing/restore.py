"""Restore into an existing ComfyUI: planned, built beside, put in place whole or not at all, proved, and undone."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ...capsule import NOT_CORE, Capsule, Finding, sha256_file, tree_digest, tree_files
from ...errors import BadInput, Blocked, Cancelled, CapsuleError
from ...materialise import ModelStore, fitted
from ...progress import Report, silent
from ..apply import locked, timed
from ..restore import Restored
from ..table import Table
from ..verify import UNTRUSTED, verify_bytes, verify_nodes
from .build import build
from .draft import Change, Mode
from .journal import Header, Journal
from .plan import draw_up
from .target import checked_root, refuse_in_use
from .trees import in_the_way

_LITTLE = 1 << 20  # bytes; with less nothing can be built


class RestoredExisting(Restored):
    """The ComfyUI that was restored into.

    Attributes:
        changes: what became of each thing.
        backup: bytes of what was replaced, which `rollback` puts back.
    """

    changes: tuple[Change, ...]
    backup: int


class Ended(BaseModel):
    """How a restore ended that was taken up again: of which capsule (its id), into what, how; `backup` in bytes.

    ``nothing-changed``: it was stopped while the new was built; that is gone now.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    capsule: str
    how: Literal["applied", "rolled-back", "nothing-changed"]
    backup: int


def restore_existing(
    capsule: Capsule,
    into: Path,
    mode: Mode,
    *,
    trust: bool = False,
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
    report: Report = silent,
) -> RestoredExisting:
    """Make the existing ComfyUI `into` that of `capsule`, or leave it as it is.

    Everything new is built beside and proved, then put in place by renames, and the whole is compared with the capsule.
    When anything fails before that is done, or on Ctrl-C, it is as before. What was replaced stays as the backup.

    Args:
        mode: ``merge`` keeps what the capsule does not have, ``exact`` disables it.

    Raises:
        BadInput, Blocked, CapsuleError: as `plan_existing` and `build`; ``restore-running``, ``target-changed``,
            ``restore-differs``, ``disk-full``; for what stands against it the finding's code, or ``findings-block``.
    """
    start = time.monotonic()
    root, store = checked_root(into), store or ModelStore()
    seconds: dict[str, float] = {}
    with locked(root):
        checked_root(root)  # another restore may have ended meanwhile
        with timed(seconds, "plan"):
            plan, work, target = draw_up(capsule, root, mode, report, trust=trust, models_from=models_from, store=store)
        refuse_against(plan.against, root)
        journal = Journal(root)
        # Inside too, while what was built still fills it.
        with _full_disk_told(journal), journal.building() as folder, _full_disk_told(journal):
            with timed(seconds, "build"):
                steps = build(
                    fitted(capsule), target, work, folder, report, trust=trust, models_from=models_from, store=store
                )
            refuse_against(tuple(in_the_way(work.trees)), root)  # it took a while
            refuse_in_use(root)
            with _rolled_back(journal):
                if steps:
                    trees = {f"custom_nodes/{pack.path}": pack.tree for pack in work.packs if pack.tree}
                    trees |= {"": capsule.lock.comfyui.tree} if work.core else {}
                    journal.begin(Header(capsule=plan.capsule, mode=mode, trees=trees, steps=steps))
                    with timed(seconds, "apply"):
                        journal.forward(report)
                with timed(seconds, "verify"):
                    table = verify_bytes(capsule, root, trust=trust, kept=work.kept, report=report)
                _require_equal(table, root)
                if steps:
                    journal.commit()
    if trust:
        with timed(seconds, "boot"):
            table = verify_nodes(capsule, root, table, report=report)
    else:
        table = table.model_copy(update={"unproved": (*table.unproved, UNTRUSTED)})
    seconds["total"] = round(time.monotonic() - start, 3)
    backup = Journal(root).backup_size()
    return RestoredExisting(path=root, table=table, seconds=seconds, changes=plan.steps, backup=backup)


def resume(into: Path, report: Report = silent) -> Ended:
    """Do what an interrupted restore into `into` has left to do. What it gives is to be compared by `verify`.

    Raises:
        BadInput: ``nothing-to-resume``, ``journal-unreadable``, ``restore-running`` and as `refuse_in_use`.
        CapsuleError: ``target-changed``.
    """
    root = into.expanduser().resolve()
    with locked(root):
        journal = Journal(root)
        if journal.state() != "open":
            message = f"No restore into {root} was interrupted while it changed something."
            raise BadInput("nothing-to-resume", message, "Nothing needs to be done; to restore, run it again.")
        refuse_in_use(root)
        header = journal.forward(report)
        journal.commit()
        return Ended(path=root, capsule=header.capsule, how="applied", backup=journal.backup_size())


def rollback(into: Path) -> Ended:
    """Undo the interrupted restore into `into`, or else the last one that was done.

    One that was stopped before it changed anything leaves that last one as it is.

    What was written since into what that restore had brought goes with it: into the Python environment, and what git
    ignores in packs. A source tree that was changed since blocks.

    Raises:
        BadInput: ``nothing-to-roll-back``, ``journal-unreadable``, ``restore-running`` and as `refuse_in_use`.
        Blocked: ``changed-since``.
        CapsuleError: ``target-changed``.
    """
    root = into.expanduser().resolve()
    with locked(root):
        journal = Journal(root)
        if journal.state() == "none":
            message = f"No restore into {root} is there to be undone."
            raise BadInput("nothing-to-roll-back", message, "Nothing needs to be done.")
        if journal.state() == "building":
            journal.clean()
            return Ended(path=root, capsule="", how="nothing-changed", backup=journal.backup_size())
        refuse_in_use(root)
        if journal.state() == "applied":
            _refuse_changed(root, journal.kept_header().trees)
            journal.reopen()
        header = journal.backward()
        return Ended(path=root, capsule=header.capsule, how="rolled-back", backup=journal.backup_size())


@contextmanager
def _full_disk_told(journal: Journal) -> Iterator[None]:
    """What fails because the disk is full says so: git and uv do not always. Raises CapsuleError ``disk-full``."""
    try:
        yield
    except (CapsuleError, OSError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        full = full or disk_usage(journal.root).free < _LITTLE
        if isinstance(error, (BadInput, Blocked, Cancelled)) or not full or journal.state() == "open":
            raise
        message = f"The disk of {journal.root} is full; it is as it was before."
        raise CapsuleError("disk-full", message, "Make room there: the new is built beside the old.") from error


@contextmanager
def _rolled_back(journal: Journal) -> Iterator[None]:
    """Whatever stops this block, the install is as before."""
    try:
        yield
    except BaseException:
        if journal.state() == "open":
            journal.backward()
        raise


def _refuse_changed(root: Path, trees: Mapping[str, str]) -> None:
    """Refuse to take away a tree with work in it. Raises Blocked ``changed-since``."""
    for name, tree in trees.items():
        place = root / name
        if not place.exists():
            continue
        names = tree_files(place, () if name else NOT_CORE) if place.is_dir() else []
        if (tree_digest(place, names) if place.is_dir() else sha256_file(place)) != tree:
            message = f"{place} was changed since it was restored; undoing would take that away. Nothing was done."
            raise Blocked("changed-since", message, "Move what you want to keep away, and put it back as it was.")


def refuse_against(findings: Sequence[Finding], root: Path) -> None:
    """Stop for what stands against it. Raises Blocked: the finding's own code, or ``findings-block`` for several."""
    if len(findings) == 1:
        only = findings[0]
        raise Blocked(only.code, f"{only.message} Nothing was changed.", only.cure)
    if findings:
        told = " ".join(finding.message for finding in findings)
        cures = " ".join(dict.fromkeys(finding.cure for finding in findings))
        message = f"{len(findings)} things stand against a restore into {root}; nothing was changed. {told}"
        raise Blocked("findings-block", message, cures)


def _require_equal(table: Table, root: Path) -> None:
    """All but the digest, which may differ in how an origin is spelled. Raises CapsuleError ``restore-differs``."""
    wrong = [row for row in table.differing if row.kind != "digest"]
    if wrong:
        told = "; ".join(f"{row.kind} {row.subject}: {row.found} instead of {row.expected}" for row in wrong[:5])
        message = f"What was restored is not the capsule: {told}. {root} is as it was before."
        raise CapsuleError("restore-differs", message, "Report this with the capsule's findings.")
