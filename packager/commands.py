"""The commands that have no module of their own: parse, call the engine, print. No logic."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import actions, terminal
from .capsule import read_capsule
from .contract import DEFAULT_URL, Language, compare_contracts
from .difference import differences, read_side
from .digest_cache import clear_digests, verify_digests
from .errors import BadInput, Blocked
from .materialise import Packs
from .options import FILE, FOLDER, engine_option, json_option, python_option
from .split_option import part_size, split_option
from .vendor import What
from .versions import keep_export


@click.command()
@click.option("--comfy", required=True, metavar="DIR|URL", help="A ComfyUI: its folder, or its address.")
@click.option("--boot", is_flag=True, help="Boot it once, on loopback, to learn the packs' node classes.")
@click.option("--workflow", type=FILE, help="Record what this workflow uses too: models, inputs, packs. Boots it.")
@click.option("--api", type=FILE, help="The workflow's API graph, from ComfyUI's File → Export (API).")
@click.option("--packs", type=click.Choice(["used", "all"]), default="all", show_default=True)
@click.option("--look-up", is_flag=True, help="Ask Hugging Face and Civitai which addresses have the models' bytes.")
@click.option("--trace", is_flag=True, help="Run the workflow once, and record every file that it opens.")
@click.option("-o", "--out", type=FOLDER, help="Write the lock and the carried files into this folder.")
@click.option("--strict", is_flag=True, help="Exit with 3 when a finding blocks exact reproduction.")
@python_option
@json_option
def snapshot(
    comfy: str,
    boot: bool,
    workflow: Path | None,
    api: Path | None,
    packs: Packs,
    look_up: bool,
    trace: bool,
    out: Path | None,
    strict: bool,
    python: Path | None,
    as_json: bool,
) -> None:
    """Read what a ComfyUI is: its commit, packs, Python environment.

    Example: comfy-capsule snapshot --comfy ~/ComfyUI -o lock/
    """
    with terminal.progress_bars(as_json) as report:
        taken = actions.snapshot(
            comfy,
            python=python,
            boot=boot,
            workflow=workflow,
            api=api,
            packs=packs,
            look_up=look_up,
            trace=trace,
            out=out,
            report=report,
        )
    if as_json:
        terminal.show_json({"lock": taken.lock.model_dump(mode="json"), "pylock": taken.pylock})
    else:
        terminal.show_lock(taken.lock, actions.count_distributions(taken.pylock))
    if strict and as_json and any(item.blocks for item in taken.lock.findings):
        sys.exit(Blocked.exit_status)  # which they are, the answer says already
    actions.refuse_blocked(taken.lock.findings, strict)


@click.command()
@click.option("--comfy", required=True, metavar="DIR|URL", help="The ComfyUI the workflow was made in.")
@click.option("--workflow", required=True, type=FILE, help="The workflow: UI json, or a picture made by ComfyUI.")
@click.option("--api", type=FILE, help="The API graph, from ComfyUI's File → Export (API).")
@click.option("-o", "--out", required=True, type=FILE, help="The capsule to write, NAME.capsule.zip.")
@click.option("--name", help="The workflow's name in the API; else the capsule file's.")
@click.option("--message", default="", help="What this version is.")
@click.option("--look-up", is_flag=True, help="Ask Hugging Face and Civitai which addresses have the models' bytes.")
@click.option("--trace", is_flag=True, help="Run the workflow once, and record every file that it opens.")
@click.option("--parent", type=FILE, help="The capsule that this one follows: their contracts are compared.")
@click.option("--keep", type=FOLDER, metavar="DIR", help="Keep it as a version in this folder too; see `versions`.")
@click.option("--vendor", type=click.Choice(["code", "all"]), help="Put in what it needs: code; or models, too.")
@click.option("--models-from", type=FOLDER, multiple=True, help="With --vendor: look for models here, too.")
@split_option
@click.option("--strict", is_flag=True, help="Write nothing when a finding blocks exact reproduction; exit with 3.")
@python_option
@json_option
def export(
    comfy: str,
    workflow: Path,
    api: Path | None,
    out: Path,
    name: str | None,
    message: str,
    look_up: bool,
    trace: bool,
    parent: Path | None,
    keep: Path | None,
    vendor: What | None,
    models_from: tuple[Path, ...],
    split: str | None,
    strict: bool,
    python: Path | None,
    as_json: bool,
) -> None:
    """Seal a workflow and its environment into a capsule.

    Example: comfy-capsule export --comfy ~/ComfyUI --workflow w.json --api w.api.json -o w.capsule.zip --vendor all
    """
    if vendor is None and (split or models_from):
        raise BadInput("bad-usage", "--split and --models-from are for what is put in.", "Say --vendor code, or all.")
    part = part_size(split)
    before = read_capsule(parent) if parent else None
    with terminal.progress_bars(as_json) as report:
        capsule = actions.export(
            comfy,
            workflow,
            api,
            out,
            name=name,
            message=message,
            strict=strict,
            look_up=look_up,
            trace=trace,
            parent=before,
            vendor=vendor,
            part=part,
            models_from=models_from,
            python=python,
            report=report,
        )
    difference = compare_contracts(before.contract, capsule.contract) if before else None
    keeping = keep_export(keep, capsule) if keep else None
    if as_json:
        compared = {"contract_difference": difference.model_dump()} if difference else {}
        kept = {"kept": keeping.model_dump(mode="json")} if keeping else {}
        terminal.show_json({"path": str(out), **actions.summary(capsule), **compared, **kept})
        return
    terminal.show_capsule(capsule, actions.count_distributions(capsule.pylock))
    if difference:
        terminal.show_contract_difference(difference, as_json)
    terminal.say(f"written   {out}")
    if keeping:
        kept_as = f"{capsule.name}@{keeping.version.id}" if keeping.version else ""
        terminal.say(f"kept      {kept_as}" if kept_as else f"not kept  {keeping.reason} {keeping.cure}".rstrip())


@click.command()
@click.argument("capsule", type=FILE)
@json_option
def inspect(capsule: Path, as_json: bool) -> None:
    """Show what a capsule holds, after checking every byte of it."""
    read = read_capsule(capsule)
    with terminal.progress_bars(as_json) as report:
        read.check(report)
    if as_json:
        terminal.show_json(actions.summary(read))
    else:
        terminal.show_capsule(read, actions.count_distributions(read.pylock))


class ShowByDefault(click.Group):
    """A group whose command `show` need not be said: ``contract X`` is ``contract show X``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        said = args and (args[0] in self.commands or args[0] in ("-h", "--help"))
        return super().parse_args(ctx, args if said or not args else ["show", *args])


@click.group(cls=ShowByDefault)
def contract() -> None:
    """Print the JSON Schema of a capsule's parameters, or compare two contracts.

    Examples: comfy-capsule contract w.capsule.zip --openapi; comfy-capsule contract diff old.zip new.zip
    """


@contract.command("show")
@click.argument("capsule", type=FILE)
@click.option("--openapi", is_flag=True, help="The OpenAPI 3.1 document of the served workflow instead.")
@click.option("--client", type=click.Choice(["python", "typescript", "curl"]), help="A client that calls it instead.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the client finds the gateway.")
def contract_show(capsule: Path, openapi: bool, client: Language | None, url: str) -> None:
    """Print the JSON Schema of a capsule's parameters (`show` need not be said).

    Example: comfy-capsule contract w.capsule.zip --client python > w_client.py
    """
    if client is not None:
        sys.stdout.write(actions.contract_client(capsule, client, url))
        return
    terminal.show_json(actions.contract_document(capsule, openapi))


@contract.command("diff")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@json_option
def contract_diff(before: Path, after: Path, as_json: bool) -> None:
    """Say what changes for callers of one capsule when another takes its place; exit with 1 if it breaks them.

    Example: comfy-capsule contract diff portrait-1.capsule.zip portrait-2.capsule.zip
    """
    difference = compare_contracts(read_capsule(before).contract, read_capsule(after).contract)
    terminal.show_contract_difference(difference, as_json)
    if difference.verdict == "breaking":
        sys.exit(1)


@click.command()
@click.argument("capsule", type=FILE, required=False)
@click.option("--comfy", type=FOLDER, metavar="DIR", help="The ComfyUI to compare.")
@click.option("--image", metavar="TAG", help="The image to compare; without a capsule, with the one that is in it.")
@click.option("--trust", is_flag=True, help="Code of this install may run here: boot it and compare its nodes.")
@click.option("--example/--no-example", default=True, help="Run the image's example too; the default.")
@click.option("--gpus", is_flag=True, help="Let the image's container see this host's GPUs.")
@click.option("--signed-by", default="", metavar="KEY", help="The cosign key whose signature the image must have.")
@engine_option
@json_option
def verify(
    capsule: Path | None,
    comfy: Path | None,
    image: str | None,
    trust: bool,
    example: bool,
    gpus: bool,
    signed_by: str,
    engine: str,
    as_json: bool,
) -> None:
    """Compare a ComfyUI, or an image, with a capsule, line by line; exit with 0 only if they are equal.

    Examples: comfy-capsule verify w.capsule.zip --comfy ~/ComfyUI --trust; comfy-capsule verify --image portrait:1
    """
    with terminal.progress_bars(as_json) as report:
        if image is not None and comfy is None:
            table = actions.verify_image(
                capsule, image, engine=engine, example=example, gpus=gpus, signed_by=signed_by, report=report
            )
        elif capsule is not None and comfy is not None and image is None:
            table = actions.verify(capsule, comfy, trust=trust, report=report)
        else:
            raise BadInput("bad-usage", "Give CAPSULE and --comfy DIR, or --image TAG with or without CAPSULE.")
    terminal.show_comparison(table, as_json)
    if not table.equal:
        sys.exit(1)


@click.command()
@click.argument("before", type=click.Path(exists=True, path_type=Path))
@click.argument("after", type=click.Path(exists=True, path_type=Path))
@json_option
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Say what changed from one snapshot to another; exit with 1 if anything did.

    Each is a capsule, the folder that `snapshot -o` wrote, or a ComfyUI's folder, which is read now.

    Example: comfy-capsule diff worked.capsule.zip ~/ComfyUI
    """
    with terminal.progress_bars(as_json) as report:
        changes = differences(read_side(before, report), read_side(after, report))
    terminal.show_changes(changes, as_json)
    if changes:
        sys.exit(1)


@click.group()
def digests() -> None:
    """The sha256 of files, remembered from earlier runs so that large models are not read each time."""


@digests.command("verify")
@json_option
def digests_verify(as_json: bool) -> None:
    """Read every file again whose digest is remembered; exit with 1 when one is wrong, and forget it."""
    with terminal.progress_bars(as_json) as report:
        checked = verify_digests(report)
    terminal.show_checked(checked, as_json)
    if checked.wrong:
        sys.exit(1)


@digests.command("clear")
@json_option
def digests_clear(as_json: bool) -> None:
    """Forget every remembered digest."""
    count = clear_digests()
    if as_json:
        terminal.show_json({"forgotten": count})
    else:
        terminal.say(f"forgotten {count} digest(s)")
