"""`comfy-capsule versions`: every capsule of a workflow, kept in git; what two differ in, and any of them back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import terminal
from .capsule import read_capsule
from .errors import BadInput
from .options import FILE, FOLDER, json_option
from .version_changes import Comparison, compare_versions
from .versions import Version, Versions

_LINE = "{:<12}  {:<16}  {:<10}  {:<11}  {}"


def _dir_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--dir``: where the versions are."""
    text = "The folder that versions are kept in."
    return click.option("--dir", "folder", required=True, type=FOLDER, metavar="DIR", help=text)(function)


@click.group()
def versions() -> None:
    """Every capsule of a workflow, kept in git: list them, compare two, get any of them back.

    A version is WORKFLOW, its newest, or WORKFLOW@WHICH: a branch, a tag, or the first digits of its id.

    Examples: comfy-capsule versions list --dir kept; comfy-capsule versions diff portrait@v1 portrait --dir kept;
    comfy-capsule versions get portrait@3f2a --capsule old.capsule.zip --dir kept
    """


@versions.command("list")
@click.argument("workflow", required=False)
@_dir_option
@json_option
def versions_list(workflow: str | None, folder: Path, as_json: bool) -> None:
    """Show the versions of a workflow, the newest first; or, without one, which workflows have some.

    Example: comfy-capsule versions list portrait --dir kept
    """
    kept = Versions(folder)
    files, git = kept.size()
    if workflow is None:
        found = kept.workflows()
        if as_json:
            size = {"files": files, "git": git}
            terminal.show_json({"workflows": [each.model_dump() for each in found], "bytes": size})
            return
        rows = ((each.name, each.versions, each.newest, each.time) for each in found)
        terminal.show_table("Workflows", ("name", "versions", "newest", "kept"), rows)
        terminal.say(f"{files:,} bytes of carried files, {git:,} bytes of git")
        return
    history = kept.history(workflow)
    if as_json:
        terminal.show_json([each.model_dump(mode="json") for each in history])
        return
    terminal.say(_LINE.format("version", "kept (UTC)", "contract", "environment", "message"))
    for each in history:  # no table: on a narrow terminal it would break the ids, which people copy
        terminal.say(
            _LINE.format(each.id, each.time[:16].replace("T", " "), each.contract, each.environment, _told(each))
        )


@versions.command("show")
@click.argument("version")
@_dir_option
@json_option
def versions_show(version: str, folder: Path, as_json: bool) -> None:
    """Show one version, and what it changed of the one before.

    Example: comfy-capsule versions show portrait@v1 --dir kept
    """
    kept = Versions(folder)
    found = kept.find(version)
    changes = None
    if found.parent:
        before = kept.find(f"{found.workflow}@{found.parent}")
        changes = compare_versions(kept.read(before), kept.read(found))
    if as_json:
        said = changes.model_dump(mode="json", exclude={"before", "after"}) if changes else None
        terminal.show_json({**found.model_dump(mode="json"), "changes": said})
        return
    _say_version(found)
    if changes is None:
        terminal.say("changes   none: it is the first")
    else:
        _say_changes(changes)


@versions.command("diff")
@click.argument("before")
@click.argument("after")
@_dir_option
@json_option
def versions_diff(before: str, after: str, folder: Path, as_json: bool) -> None:
    """Say what changed from one version to another; exit with 1 if anything did.

    Example: comfy-capsule versions diff portrait@v1 portrait --dir kept
    """
    kept = Versions(folder)
    changes = compare_versions(*(kept.read(kept.find(name)) for name in (before, after)))
    if as_json:
        terminal.show_json({"equal": changes.equal, **changes.model_dump(mode="json")})
    else:
        _say_changes(changes)
    if not changes.equal:
        sys.exit(1)


@versions.command("get")
@click.argument("version")
@_dir_option
@click.option("--capsule", type=FILE, help="Write the whole capsule here, NAME.capsule.zip.")
@click.option("--workflow", type=FILE, help="Write its workflow here, to be opened in ComfyUI.")
@click.option("--files", type=FOLDER, help="Write what git holds of it into this folder.")
@json_option
def versions_get(
    version: str, folder: Path, capsule: Path | None, workflow: Path | None, files: Path | None, as_json: bool
) -> None:
    """Give a version back: the capsule, byte for byte as it was; its workflow; or its files.

    Example: comfy-capsule versions get portrait@v1 --capsule old.capsule.zip --dir kept
    """
    if capsule is None and workflow is None and files is None:
        raise BadInput("bad-usage", "Say what to give back: --capsule, --workflow or --files.")
    kept = Versions(folder)
    found = kept.find(version)
    if capsule is not None:
        kept.write(found, capsule)
        read_capsule(capsule)  # it came out of a folder that may be anybody's
    texts = kept.read(found).texts
    if workflow is not None:
        workflow.write_bytes(texts["workflow.json"])
    if files is not None:
        files.mkdir(parents=True, exist_ok=True)
        for name, data in texts.items():
            (files / name).write_bytes(data)
    written = [str(path) for path in (capsule, workflow, files) if path is not None]
    if as_json:
        terminal.show_json({"version": found.model_dump(mode="json"), "written": written})
    else:
        for path in written:
            terminal.say(f"written   {path}")


@versions.command("keep")
@click.argument("capsule", type=FILE)
@_dir_option
@click.option("--message", default="", help="What this version is; else what the capsule says.")
@click.option("--parent", default="", metavar="WHICH", help="The version that it follows; else the newest.")
@click.option("--branch", default="", help="The branch to put it on, which is made when there is none.")
@json_option
def versions_keep(capsule: Path, folder: Path, message: str, parent: str, branch: str, as_json: bool) -> None:
    """Keep a capsule's file as a version.

    Example: comfy-capsule versions keep w.capsule.zip --message "sharper eyes" --dir kept
    """
    version = Versions(folder).keep(read_capsule(capsule), message=message, parent=parent, branch=branch)
    _show_version(version, as_json)


@versions.command("tag")
@click.argument("version")
@click.argument("name")
@_dir_option
@json_option
def versions_tag(version: str, name: str, folder: Path, as_json: bool) -> None:
    """Give a version a name that stays.

    Example: comfy-capsule versions tag portrait v1.0 --dir kept
    """
    kept = Versions(folder)
    kept.tag(kept.find(version), name)
    _show_version(kept.find(f"{version.partition('@')[0]}@{name}"), as_json)


@versions.command("branch")
@click.argument("version")
@click.argument("name")
@_dir_option
@json_option
def versions_branch(version: str, name: str, folder: Path, as_json: bool) -> None:
    """Begin a branch at a version.

    Example: comfy-capsule versions branch portrait@v1.0 night --dir kept
    """
    kept = Versions(folder)
    kept.branch(kept.find(version), name)
    _show_version(kept.find(f"{version.partition('@')[0]}@{name}"), as_json)


@versions.command("push")
@click.argument("workflow")
@click.argument("remote", metavar="URL|DIR")
@_dir_option
@json_option
def versions_push(workflow: str, remote: str, folder: Path, as_json: bool) -> None:
    """Send a workflow's versions to a git remote; nothing there is overwritten, and carried files stay here.

    Logins come from git's credential helper or ssh; an address that holds one is refused.

    Example: comfy-capsule versions push portrait ssh://git@example.com/portrait.git --dir kept
    """
    with terminal.progress_bars(as_json) as report:
        Versions(folder).push(workflow, remote, report)
    if as_json:
        terminal.show_json({"pushed": workflow, "remote": remote})
    else:
        terminal.say(f"pushed    {workflow} to {remote}")


@versions.command("prune")
@_dir_option
@click.option("--last", type=click.IntRange(min=0), required=True, help="How many of each workflow stay whole.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
def versions_prune(folder: Path, last: int, dry_run: bool, as_json: bool) -> None:
    """Remove the carried files of older versions; workflow, contract and lock of every version stay.

    Tagged versions, and the newest of each branch, stay whole.

    Example: comfy-capsule versions prune --last 10 --dir kept
    """
    done = Versions(folder).prune(last, dry_run=dry_run)
    if as_json:
        terminal.show_json({"dry_run": dry_run, **done.model_dump()})
    else:
        verb = "would be removed" if dry_run else "removed"
        terminal.say(f"{done.files} file(s), {done.bytes:,} bytes, {verb}; {done.left:,} bytes stay")


def _told(version: Version) -> str:
    """The first line of its message, with what else it is called."""
    names = ", ".join([*version.branches, *version.tags, *(["pruned"] if version.missing else [])])
    return version.message.partition("\n")[0] + (f" [{names}]" if names else "")


def _show_version(version: Version, as_json: bool) -> None:
    if as_json:
        terminal.show_json(version.model_dump(mode="json"))
    else:
        _say_version(version)


def _say_version(version: Version) -> None:
    terminal.say(f"version   {version.workflow}@{version.id}, commit {version.commit[:12]}, kept {version.time}")
    terminal.say(f"message   {version.message}")
    if names := [*(f"branch {name}" for name in version.branches), *(f"tag {name}" for name in version.tags)]:
        terminal.say(f"names     {', '.join(names)}")
    here = f", {version.missing:,} of them not here" if version.missing else ""
    terminal.say(f"carries   {version.carried:,} bytes beside git{here}")


def _say_changes(changes: Comparison) -> None:
    terminal.say(f"changes   from {changes.before.id} to {changes.after.id}")
    terminal.show_contract_difference(changes.contract, as_json=False)
    graph = "is another one" if changes.graph else "is arranged anew" if changes.layout else "is the same"
    terminal.say(f"graph     {graph}")
    terminal.show_changes(changes.environment, as_json=False)
