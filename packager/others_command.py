"""`comfy-capsule import` and `export-as`: from and to what other tools write of a ComfyUI."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from . import actions, terminal
from .capsule import SUFFIX, Capsule, read_capsule, write_capsule
from .errors import BadInput
from .options import FILE, FOLDER, json_option, python_option
from .others import (
    COLUMNS,
    COMFYUI,
    FORMS,
    Described,
    Places,
    Written,
    make,
    node_types,
    overruled,
    plan_import,
    read_others,
    version_findings,
    with_findings,
)
from .others import write_snapshot as snapshot_as


@click.command("import")
@click.argument("file", type=FILE)
@click.option("-o", "--out", type=FILE, help="The capsule to write, NAME.capsule.zip.")
@click.option("--dry-run", is_flag=True, help="Only say what would be looked up, fetched and left out.")
@click.option("--workflow", type=FILE, help="The workflow to seal with it, where the file has none.")
@click.option("--api", type=FILE, help="Its API graph, from ComfyUI's File → Export (API).")
@click.option("--comfy", metavar="DIR|URL", help="For a workflow or picture alone: the ComfyUI to export it against.")
@click.option("--graphs", type=FOLDER, metavar="DIR", help="Write the workflow in the file into this folder, as JSON.")
@click.option("--name", help="The workflow's name in the API; else the capsule file's.")
@click.option("--number", type=int, default=1, show_default=True, help="Which snapshot, where there are several.")
@click.option("--comfyui-origin", default=COMFYUI, metavar="URL", help="The repository of ComfyUI's commit.")
@click.option(
    "--comfyui-commit", default="", metavar="COMMIT", help="ComfyUI's commit or tag, where the file has none."
)
@click.option(
    "--registry", default="", metavar="URL", help="The address of the Comfy registry's API, to have packs of."
)
@click.option("--local-origins", is_flag=True, help="Folders of this machine that the file names may be read.")
@click.option("--python-version", default="", metavar="X.Y.Z", help="The Python, where the file does not say it.")
@click.option("--trust", is_flag=True, help="What the file names may run here: source builds, and one boot.")
@click.option("--strict", is_flag=True, help="Write nothing when a finding blocks exact reproduction; exit with 3.")
@python_option
@json_option
def import_(
    file: Path,
    out: Path | None,
    dry_run: bool,
    workflow: Path | None,
    api: Path | None,
    comfy: str | None,
    graphs: Path | None,
    name: str | None,
    number: int,
    comfyui_origin: str,
    comfyui_commit: str,
    registry: str,
    local_origins: bool,
    python_version: str,
    trust: bool,
    strict: bool,
    python: Path | None,
    as_json: bool,
) -> None:
    """Make a capsule of a ComfyUI-Manager or Comfy-Desktop snapshot, a comfy-pack archive or a ComfyUI picture.

    What they only name is had today from where it comes; what they do not hold at all is said, by name.

    Examples: comfy-capsule import snapshot.json -o old.capsule.zip --dry-run;
    comfy-capsule import picture.png --comfy ~/ComfyUI -o w.capsule.zip
    """
    said = _with_workflow(read_others(file, number), workflow, api)
    if comfyui_commit:
        findings = (*said.findings, *overruled("ComfyUI", said.comfyui, comfyui_commit))
        said = said.model_copy(update={"comfyui": comfyui_commit, "findings": findings})
    if graphs is not None:
        _write_graphs(said, graphs)
    places = Places(comfyui=comfyui_origin, registry=registry, local=local_origins)
    alone = said.form == "workflow"
    if (comfy is not None and not alone) or (alone and comfy is None and out is not None):
        message = "A workflow or picture alone becomes a capsule with --comfy and -o; snapshots go without --comfy."
        raise BadInput("bad-usage", message)
    if alone and (comfy is None or dry_run):
        _tell_workflow(said, as_json)
        return
    if dry_run:
        _tell_plan(said, places, python_version, as_json)
        return
    if out is None:
        raise BadInput("bad-usage", "Name the capsule to write with -o, or only look with --dry-run.")
    with terminal.progress_bars(as_json) as report:
        if comfy is not None:
            capsule = actions.export(
                comfy, file, api, out, name=name, message="", strict=strict, python=python, report=report
            )
            capsule = with_findings(capsule, version_findings(said, capsule.lock))
        else:
            called = name or out.name.removesuffix(SUFFIX)
            capsule = make(said, called, places=places, python=python_version, trust=trust, report=report)
            actions.refuse_blocked(capsule.lock.findings, strict)
        write_capsule(capsule, out)
    _tell_capsule(capsule, out, as_json)


def _with_workflow(said: Described, workflow: Path | None, api: Path | None) -> Described:
    if workflow is None:
        return said
    if said.form == "workflow" or said.ui is not None:
        raise BadInput("bad-usage", f"The {FORMS[said.form]} has a workflow already; --workflow goes with snapshots.")
    ui, graph = actions.read_graphs(workflow, api)
    findings = tuple(item for item in said.findings if item.subject != "workflow")
    return said.model_copy(update={"ui": ui, "api": graph, "findings": findings})


def _write_graphs(said: Described, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in (("workflow.json", said.ui), ("workflow.api.json", said.api)):
        if graph is not None:
            text = json.dumps(graph, indent=1, ensure_ascii=False) + "\n"
            (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))


def _tell_workflow(said: Described, as_json: bool) -> None:
    types = node_types(said)
    if as_json:
        findings = [item.model_dump(mode="json") for item in said.findings]
        terminal.show_json({"form": said.form, "node_types": list(types), "findings": findings})
        return
    terminal.say(f"nodes     {', '.join(types)}")
    terminal.say(f"graphs    {', '.join(name for name, it in (('workflow', said.ui), ('API graph', said.api)) if it)}")
    terminal.show_findings(said.findings)


def _tell_plan(said: Described, places: Places, python: str, as_json: bool) -> None:
    steps = plan_import(said, places, python)
    if as_json:
        findings = [item.model_dump(mode="json") for item in said.findings]
        terminal.show_json({"form": said.form, "steps": [step.model_dump() for step in steps], "findings": findings})
        return
    terminal.show_table(f"From a {FORMS[said.form]}", COLUMNS, (step.line for step in steps))
    terminal.show_findings(said.findings)


def _tell_capsule(capsule: Capsule, out: Path, as_json: bool) -> None:
    if as_json:
        terminal.show_json({"path": str(out), **actions.summary(capsule)})
        return
    terminal.show_capsule(capsule, actions.count_distributions(capsule.pylock))
    terminal.say(f"written   {out}")


@click.command("export-as")
@click.argument("form", type=click.Choice(["manager", "desktop"]))
@click.argument("capsule", type=FILE)
@click.option("-o", "--out", required=True, type=FILE, help="The snapshot to write, a .json file.")
@json_option
def export_as(form: Written, capsule: Path, out: Path, as_json: bool) -> None:
    """Write a capsule's environment as a snapshot of ComfyUI-Manager or Comfy-Desktop, and say what is lost.

    Example: comfy-capsule export-as manager w.capsule.zip -o snapshot.json
    """
    made = snapshot_as(read_capsule(capsule), form, datetime.now(UTC))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(made.document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        answer: dict[str, Any] = {"path": str(out), "lost": [item.model_dump(mode="json") for item in made.lost]}
        terminal.show_json(answer)
        return
    for item in made.lost:
        terminal.say(f"lost      {item.message}")
    terminal.say(f"written   {out}")
