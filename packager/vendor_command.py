"""`comfy-capsule vendor`: a capsule sealed later than it was exported."""

from __future__ import annotations

from pathlib import Path

import click

from . import actions, terminal
from .capsule import read_capsule
from .options import FILE, FOLDER, json_option, python_option
from .split_option import part_size, split_option
from .vendor import What, plan_sealing, seal


@click.command()
@click.argument("capsule", type=FILE)
@click.option("--code", "what", flag_value="code", help="Put ComfyUI, packs and wheels in.")
@click.option("--all", "what", flag_value="all", help="The models, too.")
@click.option("-o", "--out", type=FILE, help="The sealed capsule to write; it may be the same file.")
@click.option("--platform", "platforms", multiple=True, metavar="linux/ARCH", help="Its wheels, too; of a lock inside.")
@click.option("--models-from", type=FOLDER, multiple=True, help="Look for models here, by their sha256.")
@click.option("--comfy", type=FOLDER, metavar="DIR", help="A ComfyUI that has the commits and models at hand.")
@split_option
@click.option("--strict", is_flag=True, help="Write nothing when something cannot be put in; exit with 3.")
@click.option("--dry-run", is_flag=True, help="Only say what would go in, and how large it becomes.")
@python_option
@json_option
def vendor(
    capsule: Path,
    what: What | None,
    out: Path | None,
    platforms: tuple[str, ...],
    models_from: tuple[Path, ...],
    comfy: Path | None,
    split: str | None,
    strict: bool,
    dry_run: bool,
    python: Path | None,
    as_json: bool,
) -> None:
    """Seal a capsule: put in what a restore or an image needs, so that neither a network nor an origin is.

    Examples: comfy-capsule vendor w.capsule.zip --all -o sealed.capsule.zip;
    comfy-capsule vendor w.capsule.zip --code --dry-run
    """
    if what is None:
        raise click.UsageError("Say --code, or --all.")
    if out is None and not dry_run:
        raise click.UsageError("Say with --out where the sealed capsule goes, or give --dry-run.")
    part, read = part_size(split), read_capsule(capsule)
    said = actions.sealing(read, comfy, python, platforms, models_from)
    with terminal.progress_bars(as_json) as report:
        if out is None or dry_run:
            plan = plan_sealing(read, what, report=report, **said)
        else:
            made = seal(read, out, what, part=part, strict=strict, report=report, **said)
    if out is None or dry_run:
        terminal.show_sealing(plan, as_json)
    elif as_json:
        terminal.show_json({"path": str(out), **actions.summary(made)})
    else:
        terminal.show_capsule(made, actions.count_distributions(made.pylock))
        terminal.say(f"written   {out}")
