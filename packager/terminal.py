"""What the command shows: progress, tables, errors. The only module that writes to a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid
from rich.text import Text

from .capsule import Capsule, Finding, Lock
from .contract import ContractDifference
from .difference import Change
from .digest_cache import Checked
from .errors import CapsuleError
from .model_files import ModelFile
from .progress import Progress as Event
from .progress import Report, silent
from .restore import Ended, ExistingPlan, Plan, Restored, RestoredExisting, Table
from .vendor import SealingPlan

_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


# A capsule is a stranger's: what it names must not steer the terminal.
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


_VERDICTS = {
    "compatible": "compatible: every call means what it meant.",
    "widened": "widened: every call means what it meant, and more can be said.",
    "breaking": "breaking: calls that worked are refused, or get another kind of answer.",
}


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Report]:
    """A `Report` that draws a bar a phase on a terminal, one line a phase elsewhere, and nothing when `quiet`."""
    if quiet:
        yield silent
    elif not _err.is_terminal:
        yield _lines()
    else:
        words, item = TextColumn("{task.description:<12}"), TextColumn("{task.fields[item]}", markup=False)
        columns = (words, BarColumn(), item, TextColumn("{task.fields[amount]}"), TimeElapsedColumn())
        with Progress(*columns, console=_err, transient=True) as bars:
            yield _bars(bars)


def _amount(task: Task) -> str:
    """How many bytes, of how many, and the time that is left at the speed of the last while."""
    words = f"{decimal(int(task.completed))} of {decimal(int(task.total or 0))}"
    left = task.time_remaining
    if left is None or task.finished:
        return words
    minutes, seconds = divmod(int(left), 60)
    return f"{words}, {minutes}:{seconds:02} left"


def _bars(bars: Progress) -> Report:
    tasks: dict[str, TaskID] = {}

    def report(event: Event) -> None:
        if event.phase not in tasks:
            tasks[event.phase] = bars.add_task(event.phase, total=None, item="", amount="")
        number = tasks[event.phase]
        item = event.item[-60:].translate(_CONTROLS)
        bars.update(number, completed=event.done, total=event.total or None, item=item)
        counts_bytes = event.unit == "bytes" and event.total
        bars.update(number, amount=_amount(bars.tasks[number]) if counts_bytes else "")

    return report


def _lines() -> Report:
    seen: set[str] = set()

    def report(event: Event) -> None:
        if event.phase not in seen:
            seen.add(event.phase)
            _err.print(f"{event.phase} …", markup=False)

    return report


def say_progress(event: Event) -> None:
    """One line an event, for a command that goes on until it is stopped."""
    _err.print(f"{event.phase} {event.item}".strip(), markup=False)


def say(text: str) -> None:
    """One line of the answer."""
    _out.print(text.translate(_CONTROLS), markup=False)


def show_json(value: Any) -> None:
    """`value` as JSON, for other programs."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_error(error: CapsuleError, as_json: bool) -> None:
    """What went wrong and what to do: on standard error, or as JSON on standard output."""
    if as_json:
        show_json({"error": {"code": error.code, "message": error.message, "cure": error.cure}})
    else:
        _err.print(f"[bold red]error[/] ({error.code}): ", end="")
        _err.print(str(error).translate(_CONTROLS), markup=False)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table."""
    table = Grid(title=Text(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell).translate(_CONTROLS)) for cell in row))  # `[fp8]` is no markup
    _out.print(table)


def show_findings(findings: Sequence[Finding]) -> None:
    """Each finding with its cure, those that block first."""
    for item in findings:
        say(f"{'blocks' if item.blocks else 'note':<9} {item.message} {item.cure} [{item.code}]")


def show_lock(lock: Lock, distributions: int) -> None:
    """A snapshot at a glance."""
    core, platform = lock.comfyui, lock.platform
    say(f"ComfyUI   {core.version} {core.commit[:12]} {core.origin}".rstrip())
    say(f"Python    {platform.python}, {distributions} distributions, torch {platform.torch or 'none'}")
    seen = ", ".join(lock.observed.gpus) or "none seen"
    say(f"GPU       {seen}{f', driver {lock.observed.driver}' if lock.observed.driver else ''}")
    programs = ", ".join(item.name for item in lock.system.programs) or "none"
    say(f"system    {' '.join(lock.system.packages) or 'nothing'}; programs: {programs}")
    for pack in lock.packs:
        state = ("used" if pack.used else "") if pack.enabled else "disabled"
        changes = " + local changes" if pack.patch else ""
        say(f"pack      {pack.name} {pack.commit[:12] or pack.kind}{changes} {state}".rstrip())
    for model in lock.models:
        say(f"model     {model.folder}/{model.name} {model.size} bytes sha256:{model.sha256[:12]}")
    for item in lock.inputs:
        say(f"input     {item.name} {item.size} bytes")
    for file in lock.files:
        say(f"file      {file.place}/{file.name} {file.size} bytes sha256:{file.sha256[:12]}")
    show_findings(lock.findings)


def show_capsule(capsule: Capsule, distributions: int) -> None:
    """A capsule at a glance."""
    digests = capsule.digests
    say(f"capsule   {capsule.name} {digests.id}")
    say(f"digests   environment {digests.environment[:12]}, contract {digests.contract[:12]}")
    for item in capsule.contract.inputs:
        need = "required" if item.required else f"default {item.default!r}"
        say(f"takes     {item.name}: {item.type}, {need}")
    for output in capsule.contract.outputs:
        say(f"gives     {output.name}: {output.type}")
    if capsule.vendored:
        here = all(item.pieces is not None for item in capsule.vendored.values())
        size = sum(item.size for item in capsule.vendored.values())
        say(f"vendored  {len(capsule.vendored)} files, {size:,} bytes{'' if here else ', not in this copy'}")
    if capsule.secrets:
        say(f"secrets   {', '.join(capsule.secrets)}, to be given where it runs")
    show_lock(capsule.lock, distributions)


def show_plan(plan: Plan, as_json: bool) -> None:
    """What a restore would do."""
    if as_json:
        show_json(plan.model_dump(mode="json"))
        return
    show_table(f"Capsule {plan.capsule} into {plan.target}", plan.columns, (step.line for step in plan.steps))
    if isinstance(plan, ExistingPlan):
        show_findings(plan.against)
        if plan.backup:
            say(f"{'note':<9} The backup of the restore before, {decimal(plan.backup)}, goes when this one is done.")
    show_findings(plan.findings)


def show_sealing(plan: SealingPlan, as_json: bool) -> None:
    """What would be put into a capsule, and what not."""
    if as_json:
        show_json(plan.model_dump(mode="json"))
        return
    rows = ((step.item, step.source, f"{step.size:,}" if step.size else "") for step in plan.steps)
    show_table(f"Into capsule {plan.capsule}", ("what", "from", "bytes"), rows)
    show_findings(plan.findings)
    more = f", and {plan.unknown} file(s) whose size is not known before" if plan.unknown else ""
    say(f"{plan.bytes:,} bytes{more}; {len(plan.findings)} thing(s) stay out.")


def show_comparison(table: Table, as_json: bool) -> None:
    """What was compared: the whole table as JSON, else only what differs, and the verdict."""
    if as_json:
        show_json(table.model_dump(mode="json"))
        return
    if table.differing:
        rows = ((row.kind, row.subject, row.expected, row.found) for row in table.differing)
        show_table("Differences", ("kind", "what", "expected", "found"), rows)
    say(table.sentence)


def show_checked(checked: Checked, as_json: bool) -> None:
    """The wrong digests among those that were remembered, and how many were right."""
    if as_json:
        show_json(checked.model_dump(mode="json"))
        return
    if checked.wrong:
        rows = ((item.path, item.cached[:12], item.found[:12] or item.reason) for item in checked.wrong)
        show_table("Wrong digests, now forgotten", ("file", "remembered", "found"), rows)
    say(f"{checked.right} right, {len(checked.wrong)} wrong, {checked.outdated} of files that changed, now forgotten")
    if checked.absent:
        say(f"{checked.absent} not checked: the file is not there now")


def show_models(files: Sequence[ModelFile], as_json: bool) -> None:
    """One line a model, with where it lies; what is missing with where it can be had."""
    if as_json:
        show_json([item.model_dump(mode="json") for item in files])
        return
    wheres = (item.path if item.state == "here" else " ".join(item.sources) or "no address known" for item in files)
    rows = ((item.state, item.name, f"{item.size:,}", where) for item, where in zip(files, wheres, strict=True))
    show_table("Models", ("state", "name", "bytes", "where"), rows)
    absent = [item for item in files if item.state != "here"]
    say(f"{len(files) - len(absent)} of {len(files)} here, {sum(item.size for item in absent):,} bytes to fetch")


def show_restored(done: Restored, as_json: bool) -> None:
    """Where the restored ComfyUI is, how it compares, and how to start it."""
    if as_json:
        show_json(done.model_dump(mode="json"))
        return
    if isinstance(done, RestoredExisting):
        changed = (change.line for change in done.changes if change.action not in ("keep", "check"))
        show_table("Changed", ExistingPlan.columns, changed)
    show_comparison(done.table, as_json)
    say(f"restored  {done.path}")
    if isinstance(done, RestoredExisting):
        say(f"backup    {decimal(done.backup)}; undo: comfy-capsule restore --rollback {done.path}")


def show_ended(ended: Ended, as_json: bool) -> None:
    """How a restore ended that was taken up again."""
    if as_json:
        show_json(ended.model_dump(mode="json"))
    elif ended.how == "applied":
        say(f"finished  {ended.path}; prove it: comfy-capsule verify CAPSULE --comfy {ended.path}")
        say(f"backup    {decimal(ended.backup)}; undo: comfy-capsule restore --rollback {ended.path}")
    elif ended.how == "nothing-changed":
        say(f"stopped   the restore into {ended.path} had changed nothing yet")
    else:
        say(f"undone    {ended.path} is as it was before the restore of capsule {ended.capsule}")


def show_contract_difference(difference: ContractDifference, as_json: bool) -> None:
    """What changes for callers, the worst first, and the verdict."""
    if as_json:
        show_json(difference.model_dump())
        return
    for change in difference.changes:
        say(f"{change.effect:<10} {change.of} {change.name} {change.message}")
    say(_VERDICTS[difference.verdict])


def show_changes(changes: Sequence[Change], as_json: bool) -> None:
    """What changed from one snapshot to another, a line each."""
    if as_json:
        show_json({"equal": not changes, "changes": [change.model_dump() for change in changes]})
        return
    for section, subject, told in (change.line for change in changes):
        say(f"{section:<9} {subject}: {told}")
    say(f"{len(changes)} change(s)." if changes else "Nothing changed.")
