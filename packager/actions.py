"""What each command does, without a terminal: the engine's parts put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tomlkit

from .capsule import SUFFIX, Capsule, Finding, Lock, carried_entries, read_capsule, write_capsule
from .comfy import Install, Trace, find_install, traced_run
from .comfy import boot as boot_install
from .command import without_credentials
from .contract import Language, client, openapi, parameters_schema
from .errors import BadInput, Blocked
from .export import make_capsule, workflow_name
from .materialise import Packs, lock_platform
from .progress import Report
from .remote import export_remote, is_address, snapshot_remote
from .restore import Mode, Plan, Restored, Table, plan_existing, plan_restore, restore_existing
from .restore import restore as restore_capsule
from .restore import verify as verify_install
from .snapshot import Snapshot, snapshot_install, write_lock
from .vendor import What, checkouts_of, model_folders_of, seal
from .workflow import check_api_graph, read_workflow_file


def snapshot(
    comfy: str,
    *,
    python: Path | None,
    boot: bool,
    workflow: Path | None,
    api: Path | None,
    packs: Packs,
    look_up: bool = False,
    trace: bool = False,
    out: Path | None,
    report: Report,
) -> Snapshot:
    """Take a snapshot of the ComfyUI at the folder or address `comfy`; write it into the folder `out` when given.

    Args:
        workflow, api: a workflow whose models, inputs and used packs are recorded too; it is booted for that.
        packs: which packs are recorded.
        look_up: whether Hugging Face and Civitai may be asked which addresses have the models' bytes.
        trace: run the workflow once, and record what it opens.

    Raises:
        BadInput: unusable files, folder or address; ``no-workflow`` when the used packs, or a trace, are asked for
            without one; ``no-trace-there`` for a trace at an address; ``not-carried-here`` for a folder of files that
            only the machine of an address has.
    """
    if packs == "used" and workflow is None:
        raise BadInput("no-workflow", "Which packs are used, a workflow must say.", "Give it with --workflow.")
    if trace and workflow is None:
        raise BadInput("no-workflow", "A traced run needs a workflow to run.", "Give it with --workflow.")
    ui, graph = read_graphs(workflow, api) if workflow else (None, None)
    if is_address(comfy):
        _refuse_trace(comfy, trace)
        said = snapshot_remote(comfy, ui, graph, report, look_up=look_up)
        taken = Snapshot(lock=Lock.model_validate(said["lock"]), pylock=said["pylock"], files={})
        if out is not None and (missing := carried_entries(taken.lock)):
            raise BadInput(
                "not-carried-here",
                f"The lock names {len(missing)} carried files, the first is {missing[0]}, which stay at {comfy}.",
                "Give its folder with --comfy DIR, or export a workflow, which brings them along.",
            )
    else:
        install = find_install(Path(comfy), python)
        object_info = traced = None
        if boot or graph:
            object_info, install, traced = _boot(install, graph if trace else None, report)
        taken = snapshot_install(
            install, graph=graph, ui=ui, object_info=object_info, look_up=look_up, trace=traced, report=report
        )
    if packs == "used":
        taken = taken.with_packs([pack for pack in taken.lock.packs if pack.used])
    if out is not None:
        write_lock(taken, out)
    return taken


def export(
    comfy: str,
    workflow: Path,
    api: Path | None,
    out: Path,
    *,
    name: str | None,
    message: str,
    strict: bool,
    look_up: bool = False,
    trace: bool = False,
    parent: Capsule | None = None,
    vendor: What | None = None,
    part: int | None = None,
    models_from: Sequence[Path] = (),
    python: Path | None,
    report: Report,
) -> Capsule:
    """Seal the workflow in the files `workflow` and `api` with the ComfyUI at `comfy`, into `out`.

    Args:
        trace: run the workflow once, and record what it opens.
        parent: the capsule that this one follows; its id stands in the new one.
        vendor: what is put in of what it needs from elsewhere; part, models_from: see `seal`.

    Raises:
        BadInput: unusable files, graph, marks, folder or address; ``no-trace-there`` for a trace at an address.
        Blocked: with `strict`, when a finding blocks; nothing is written then.
    """
    ui, graph = read_graphs(workflow, api)
    check_api_graph(graph)
    name = workflow_name(name or out.name.removesuffix(SUFFIX))
    install = None
    if is_address(comfy):
        _refuse_trace(comfy, trace)
        capsule = export_remote(comfy, ui, graph, name=name, message=message, look_up=look_up, report=report)
    else:
        install = find_install(Path(comfy), python)
        object_info, install, traced = _boot(install, graph if trace else None, report)
        take = partial(snapshot_install, trace=traced)
        capsule = make_capsule(
            install, ui, graph, object_info, name=name, message=message, look_up=look_up, take=take, report=report
        )
    refuse_blocked(capsule.lock.findings, strict)
    if parent is not None:
        lock = capsule.lock.model_copy(update={"parent": parent.digests.id})
        capsule = dataclasses.replace(capsule, lock=lock, sealed="")
    if vendor is None:
        write_capsule(capsule, out)
        return capsule
    at_hand = _at_hand(capsule.lock, install, models_from)
    return seal(capsule, out, vendor, part=part, strict=strict, report=report, **at_hand)


def sealing(
    capsule: Capsule,
    comfy: Path | None,
    python: Path | None,
    platforms: Sequence[str],
    models_from: Sequence[Path],
) -> dict[str, Any]:
    """What `seal` and `plan_sealing` take by name, with what the ComfyUI in `comfy` has at hand.

    Args:
        platforms: as engines name them, ``linux/arm64``.

    Raises:
        BadInput: ``bad-platform``, and what `find_install` raises.
    """
    install = find_install(comfy, python) if comfy is not None else None
    return {"platforms": [lock_platform(each) for each in platforms], **_at_hand(capsule.lock, install, models_from)}


def _at_hand(lock: Lock, install: Install | None, models_from: Sequence[Path]) -> dict[str, Any]:
    if install is None:
        return {"models_from": tuple(models_from), "checkouts": {}}
    folders = (*models_from, *model_folders_of(lock, install))
    return {"models_from": folders, "checkouts": checkouts_of(lock, install)}


def _boot(
    install: Install, traced: dict[str, Any] | None, report: Report
) -> tuple[dict[str, Any], Install, Trace | None]:
    """Boot `install` once, and run the graph `traced` in it when there is one."""
    run = traced_run(install, traced, report) if traced is not None else None
    booted = run.booted if run is not None else boot_install(install, report)
    return booted.object_info, booted.install, run.trace if run is not None else None


def _refuse_trace(comfy: str, trace: bool) -> None:
    if trace:
        message = f"The ComfyUI at {without_credentials(comfy)} runs already; a traced run needs one of its own."
        raise BadInput("no-trace-there", message, "Give its folder with --comfy DIR, on its machine.")


def read_graphs(workflow: Path, api: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The editor graph in the file `workflow`, and its API graph, in `api` or in the same.

    Raises:
        BadInput: ``ui-graph-missing``, ``api-graph-missing``; as `read_workflow_file`.
    """
    file = read_workflow_file(workflow)
    if file.ui is None:
        raise BadInput(
            "ui-graph-missing",
            f"{workflow} holds the API graph only; marks and layout are in the workflow that the editor saves.",
            "Give the saved workflow with --workflow, and this file with --api.",
        )
    graph = read_workflow_file(api).need_api() if api is not None else file.need_api()
    return file.ui, graph


def refuse_blocked(findings: Sequence[Finding], strict: bool) -> None:
    """With `strict`, stop when a finding blocks exact reproduction. Raises Blocked ``findings-block``."""
    blocking = [finding for finding in findings if finding.blocks]
    if strict and blocking:
        raise Blocked(
            "findings-block",
            f"{len(blocking)} finding(s) stand against exact reproduction; the first: {blocking[0].message}",
            blocking[0].cure,
        )


def summary(capsule: Capsule) -> dict[str, Any]:
    """A capsule as JSON: digests, contract and lock, without graphs and bytes."""
    return {
        "id": capsule.digests.id,
        "digests": capsule.digests.model_dump(),
        "contract": capsule.contract.model_dump(mode="json"),
        "lock": capsule.lock.model_dump(mode="json"),
        "distributions": count_distributions(capsule.pylock),
        "secrets": list(capsule.secrets),
        "vendored": {name: item.size for name, item in sorted(capsule.vendored.items())},
    }


def count_distributions(pylock: str) -> int:
    """How many distributions a `pylock.toml` names, with those it has no file of."""
    said = tomlkit.parse(pylock).unwrap()
    unproved = said.get("tool", {}).get("comfy-capsule", {}).get("unproved", [])
    return len(said.get("packages", [])) + len(unproved)


def contract_document(path: Path, as_openapi: bool) -> dict[str, Any]:
    """The JSON Schema of the parameters, or the OpenAPI document."""
    capsule = read_capsule(path)
    if as_openapi:
        return openapi([capsule.contract], title=capsule.name, version=capsule.digests.id)
    return parameters_schema(capsule.contract)


def contract_client(path: Path, language: Language, url: str) -> str:
    """A client of the served workflow, in `language`."""
    return client(read_capsule(path).contract, language, url)


def plan(
    path: Path, into: Path, *, existing: Mode | None, trust: bool, models_from: Sequence[Path], report: Report
) -> Plan:
    """What `restore` would do; nothing is done."""
    capsule = read_capsule(path)
    if existing is not None:
        return plan_existing(capsule, into, existing, trust=trust, models_from=models_from, report=report)
    return plan_restore(capsule, into, trust=trust, models_from=models_from)


def restore(
    path: Path, into: Path, *, existing: Mode | None, trust: bool, models_from: Sequence[Path], report: Report
) -> Restored:
    """Make the ComfyUI of the capsule in the new folder `into`, or of the `existing` one there; compare it with it."""
    capsule = read_capsule(path)
    if existing is not None:
        return restore_existing(capsule, into, existing, trust=trust, models_from=models_from, report=report)
    return restore_capsule(capsule, into, trust=trust, models_from=models_from, report=report)


def verify(path: Path, comfy: Path, *, trust: bool, report: Report) -> Table:
    """Compare the ComfyUI in `comfy` with the capsule."""
    return verify_install(read_capsule(path), comfy, trust=trust, report=report)


def verify_image(
    path: Path | None, tag: str, *, engine: str, example: bool, gpus: bool, signed_by: str = "", report: Report
) -> Table:
    """Compare the image `tag` with the capsule in it, and that one with the capsule at `path` when it is given."""
    from .image import engine_named
    from .verify_image import verify_image as verify_engine_image

    capsule = read_capsule(path) if path else None
    there = engine_named(engine)
    return verify_engine_image(there, tag, capsule, example=example, gpus=gpus, signed_by=signed_by, report=report)
