"""Export: a live ComfyUI and a workflow → a capsule. The only place where snapshot and contract meet."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from .capsule import SUFFIX, WORKFLOW_NAME, ApiGraph, Capsule, Digests, Finding, Lock, write_capsule
from .comfy import Install, live_install, live_object_info
from .contract import Contract, build_contract, build_with_notes, choice_key
from .errors import BadInput, Cancelled
from .hiding import graphs_without_secrets, without_secrets
from .progress import Progress, Report, silent
from .snapshot import Snapshot, model_choices, snapshot_apart, snapshot_install
from .versions import Keeping, keep_export, versions_folder
from .workflow import check_api_graph, frozen_signatures, missing_classes, used_classes

_TURN = 0.0002  # seconds
_NEVER = 1_000_000  # collections of the middle generation between two full ones


class ExportResult(BaseModel):
    """The written capsule: where it is, what it says, and whether it was kept as a version."""

    model_config = ConfigDict(frozen=True)

    path: Path
    digests: Digests
    lock: Lock
    contract: Contract
    keeping: Keeping = Keeping()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What stands against exact reproduction."""
        return self.lock.findings


def workflow_name(text: str) -> str:
    """`text` as a name for ``POST /workflows/{name}`` and for files: lower case, dashes for all that is odd.

    Raises:
        BadInput: ``bad-name`` when nothing is left.
    """
    name = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:100]
    if not WORKFLOW_NAME.fullmatch(name):
        raise BadInput("bad-name", f"{text!r} gives no workflow name.", "Use letters and digits, e.g. --name portrait.")
    return name


def make_capsule(
    install: Install,
    workflow: Mapping[str, Any],
    api: ApiGraph,
    object_info: Mapping[str, Any],
    *,
    name: str,
    message: str = "",
    frontend_version: str = "",
    look_up: bool = False,
    take: Callable[..., Snapshot] = snapshot_install,
    report: Report = silent,
) -> Capsule:
    """Seal `workflow` with the environment of `install`.

    Args:
        workflow: the UI graph, marks inside; `api`: the API graph that the front-end made of it.
        object_info: the node definitions of this install, as its running ComfyUI gives them.
        frontend_version: of the front-end that made `api`; else what the workflow says of itself.
        look_up: whether Hugging Face and Civitai may be asked which addresses have the models' bytes.
        take: how the snapshot is taken, `snapshot_install` or `snapshot_apart`.

    Raises:
        BadInput: a graph that cannot run here, or marks that make no contract.
    """
    name = workflow_name(name)
    report(Progress(phase="contract", total=1))
    check_api_graph(api)
    missing_classes(api, object_info)
    notes = _notes(name, workflow, api, object_info)  # refuses bad marks before the slow part
    report(Progress(phase="contract", done=1, total=1))
    snapshot = take(
        install,
        name=name,
        message=message,
        graph=api,
        ui=workflow,
        object_info=object_info,
        look_up=look_up,
        report=report,
    )
    allowed = model_choices(api, object_info, snapshot.lock.models)
    choices = {choice_key(*place): names for place, names in allowed.items()}
    frontend = frontend_version or str((workflow.get("extra") or {}).get("frontendVersion", ""))
    findings = (*snapshot.lock.findings, *map(_left_out, notes))
    observed = snapshot.lock.observed.model_copy(update={"frontend": frontend})
    capsule = Capsule(
        lock=snapshot.lock.model_copy(update={"observed": observed, "findings": findings}),
        pylock=snapshot.pylock,
        workflow=workflow,
        graph=api,
        contract=build_contract(name, workflow, api, object_info, choices),
        object_info=frozen_signatures(object_info, used_classes(api)),
        files=snapshot.files,
    )
    return without_secrets(capsule)


def _notes(name: str, workflow: Mapping[str, Any], api: ApiGraph, object_info: Mapping[str, Any]) -> tuple[str, ...]:
    """What the contract leaves out. A refusal quotes the graph, so it is made again of one without secrets."""
    try:
        return build_with_notes(name, workflow, api, object_info).notes
    except BadInput as refused:
        build_with_notes(name, *graphs_without_secrets(workflow, api, object_info), object_info)
        raise BadInput(refused.code, "A mark does not fit a secret value.", refused.cure) from None


def _left_out(note: str) -> Finding:
    return Finding(
        code="app-mode-entry-lost",
        subject="App Mode",
        message=note,
        cure="Choose the widget again in ComfyUI's app builder, or mark it as an API input.",
    )


def export_live(
    workflow: Mapping[str, Any],
    api: ApiGraph,
    *,
    name: str,
    message: str = "",
    frontend_version: str = "",
    look_up: bool = False,
    user: str = "default",
    report: Report = silent,
    cancelled: Callable[[], bool] = lambda: False,
) -> ExportResult:
    """Export from inside the running ComfyUI, into its user folder. For a worker thread, never the event loop.

    The capsule is kept as a version of `user`, ComfyUI's id of whoever asks; where that fails, the answer says so.

    Raises:
        BadInput: as `make_capsule`.
        Cancelled: at the next step after `cancelled` says so; nothing is written then.
    """
    watched = _watched(report, cancelled)
    with _kindly():
        install = live_install()
        capsule = make_capsule(
            install,
            workflow,
            api,
            live_object_info(),
            name=name,
            message=message,
            frontend_version=frontend_version,
            look_up=look_up,
            take=snapshot_apart,
            report=watched,
        )
        path = install.user_dir / "capsules" / f"{capsule.name}-{capsule.digests.id}{SUFFIX}"
        watched(Progress(phase="write", item=path.name, total=1))
        write_capsule(capsule, path)
        report(Progress(phase="write", item=path.name, done=1, total=1))
        keeping = keep_export(versions_folder(install.user_dir, user), capsule)
    digests = capsule.digests
    return ExportResult(path=path, digests=digests, lock=capsule.lock, contract=capsule.contract, keeping=keeping)


def snapshot_live(
    api: ApiGraph | None = None,
    workflow: Mapping[str, Any] | None = None,
    report: Report = silent,
    cancelled: Callable[[], bool] = lambda: False,
    look_up: bool = False,
) -> Snapshot:
    """The snapshot of the running ComfyUI from inside it; with a graph, of what that graph uses too.

    Raises:
        Cancelled: within half a second after `cancelled` says so.
    """
    watched = _watched(report, cancelled)
    with _kindly():
        info = live_object_info()
        return snapshot_apart(live_install(), graph=api, ui=workflow, object_info=info, look_up=look_up, report=watched)


@contextmanager
def _kindly() -> Iterator[None]:
    """Let ComfyUI's event loop have its turn soon while we work in a thread beside it.

    The snapshot is taken in another process, but the node definitions are asked, its answer is read and the capsule is
    sealed in this one.
    Each time that the loop comes back from the system it waits until the running thread is asked to let go, 5 ms by
    default; a request that reads twenty files waits twenty times. And what we make would soon set off a collection of
    all of ComfyUI's objects, half a second in which no thread runs: young ones are collected meanwhile, and what
    ComfyUI itself asks for with ``gc.collect``.
    """
    turn, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_TURN)
    gc.set_threshold(thresholds[0], thresholds[1], _NEVER)
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        gc.set_threshold(*thresholds)


def _watched(report: Report, cancelled: Callable[[], bool]) -> Report:
    """`report`, which also stops the work when `cancelled` says so."""

    def watch(progress: Progress) -> None:
        if cancelled():
            raise Cancelled("Cancelled; nothing was written.")
        report(progress)

    return watch
