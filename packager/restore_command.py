"""`comfy-capsule restore`: the ComfyUI of a capsule, in a new folder or in one that is there; resumed, undone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import actions, terminal
from .errors import BadInput, Blocked
from .options import FILE, FOLDER, json_option
from .restore import ExistingPlan, Mode, resume, rollback


@click.command()
@click.argument("capsule", type=FILE, required=False)
@click.option("--into", type=FOLDER, help="The new ComfyUI folder, or with --existing one that is there.")
@click.option(
    "--existing",
    type=click.Choice(["merge", "exact"]),
    help="Change the ComfyUI that is there: keep what the capsule does not have, or disable it.",
)
@click.option("--resume", "resumed", type=FOLDER, metavar="DIR", help="Finish an interrupted restore into DIR.")
@click.option("--rollback", "undone", type=FOLDER, metavar="DIR", help="Undo the interrupted, or the last, restore.")
@click.option("--trust", is_flag=True, help="Code of this capsule may run here: boot it to prove the result.")
@click.option("--models-from", type=FOLDER, multiple=True, help="Look for models here, by their sha256.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
def restore(
    capsule: Path | None,
    into: Path | None,
    existing: Mode | None,
    resumed: Path | None,
    undone: Path | None,
    trust: bool,
    models_from: tuple[Path, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the exact ComfyUI of a capsule in a new folder, or in an existing one, and prove it.

    Into an existing one it is done whole or not at all: it goes back by itself when anything fails, and with --rollback
    whenever you want. Local changes are never touched; they are named, and nothing is done.

    \b
    Examples:
      comfy-capsule restore w.capsule.zip --into ~/ComfyUI-portrait --trust
      comfy-capsule restore w.capsule.zip --into ~/ComfyUI --existing merge --dry-run
      comfy-capsule restore --rollback ~/ComfyUI
    """
    again = resumed or undone
    if (again is None) == (into is None) or (capsule is None) != (into is None) or (resumed and undone):
        raise BadInput("bad-usage", "Give CAPSULE and --into DIR, or --resume DIR, or --rollback DIR alone.")
    if again is not None:
        with terminal.progress_bars(as_json) as report:
            ended = resume(again, report) if resumed else rollback(again)
        terminal.show_ended(ended, as_json)
    elif capsule is not None and into is not None and dry_run:
        with terminal.progress_bars(as_json) as report:
            plan = actions.plan(capsule, into, existing=existing, trust=trust, models_from=models_from, report=report)
        terminal.show_plan(plan, as_json)
        if isinstance(plan, ExistingPlan) and plan.against:
            sys.exit(Blocked.exit_status)
    elif capsule is not None and into is not None:
        with terminal.progress_bars(as_json) as report:
            done = actions.restore(
                capsule, into, existing=existing, trust=trust, models_from=models_from, report=report
            )
        terminal.show_restored(done, as_json)
        if not done.table.equal:
            sys.exit(1)
