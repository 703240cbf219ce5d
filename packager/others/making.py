"""A capsule of what another tool's file only names: had from its origins today, and read as a snapshot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Finding, InputFile, Model, Observed, safe_name, sha256_bytes
from ..comfy import boot, find_install
from ..contract import Contract
from ..errors import BadInput
from ..export import make_capsule, workflow_name
from ..hiding import without_secrets
from ..materialise import place
from ..progress import Report, silent
from ..restore import unexecuted_install
from ..snapshot import Snapshot, snapshot_install
from .environment import lock_for, make_environment, python_version
from .findings import left_out, no_contract
from .models import FORMS, Described, NamedPack
from .names import is_commit
from .sources import Places, fetch_sources

_EMPTY: Mapping[str, Any] = {"nodes": [], "links": [], "version": 0.4}
COLUMNS = ("step", "what", "from", "note")


class Step(BaseModel):
    """One thing that an import does."""

    model_config = ConfigDict(frozen=True)

    what: str
    item: str
    where: str = ""
    note: str = ""

    @property
    def line(self) -> tuple[str, str, str, str]:
        """As a row under `COLUMNS`."""
        return self.what, self.item, self.where, self.note


def plan_import(said: Described, places: Places, python: str = "") -> tuple[Step, ...]:
    """What `make` would do; nothing is asked, fetched or written."""
    version = python or said.python or "any"
    unhashed = sum(not pin.hashes and not pin.url for pin in said.pins)
    steps = [
        Step(what="comfyui", item=said.comfyui[:12] or "unknown", where=places.comfyui, note=_of_comfyui(said)),
        *(_pack_step(pack, places) for pack in said.packs),
        Step(
            what="python",
            item=f"{len(said.pins)} distributions for Python {version}",
            where="your package indexes",
            note=f"{unhashed} without a hash: resolved today" if unhashed else "",
        ),
        *(
            Step(what="python", item=pin.name, where=pin.url, note="built only with --trust, unless it is a wheel")
            for pin in said.pins
            if pin.url
        ),
        *(
            Step(what="model", item=f"{model.folder}/{model.name}", note="recorded by its sha256, not fetched")
            for model in said.models
        ),
        *(Step(what="input", item=name, where="the file itself") for name in sorted(said.inputs)),
    ]
    if said.api is not None:
        note = "its inputs and outputs are known only with --trust, which boots the ComfyUI"
        steps.append(Step(what="workflow", item=f"{len(said.api)} nodes", where="the file itself", note=note))
    return tuple(steps)


def _of_comfyui(said: Described) -> str:
    if is_commit(said.comfyui):
        return ""
    return "a tag: looked up today" if said.comfyui else "name it with --comfyui-commit"


def _pack_step(pack: NamedPack, places: Places) -> Step:
    if pack.kind == "registry":
        note = "resolved today" if places.registry else "left out: name the registry with --registry URL"
        return Step(what="pack", item=f"{pack.path} {pack.registry}", where=places.registry, note=note)
    note = "" if places.allows(pack.origin) else "left out: allow it with --local-origins"
    return Step(what="pack", item=f"{pack.path} {pack.commit[:12]}", where=pack.origin, note=note)


def make(
    said: Described,
    name: str,
    *,
    places: Places | None = None,
    python: str = "",
    message: str = "",
    trust: bool = False,
    report: Report = silent,
) -> Capsule:
    """The capsule of what `said` names, with a finding for all that it does not hold and for what was taken instead.

    ComfyUI and packs are fetched at their commits and the pins are installed, in a folder that is gone afterwards; that
    is read as any install is. Without `trust` nothing that was fetched runs: a workflow's inputs and outputs are not
    known then.

    Args:
        name: of the workflow in the API.
        python: the full version to use, where the file does not say it.

    Raises:
        BadInput: as `fetch_sources` and `python_version`; ``no-comfyui`` when the commit is not of a ComfyUI.
        CapsuleError: as `fetch_sources`, `make_environment` and, with `trust`, `make_capsule`.
    """
    name = workflow_name(name)
    version, findings = python_version(said.python, python)
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-import-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "ComfyUI")
        found = [*said.findings, *findings, *fetch_sources(said, root, places or Places(), report)]
        inputs, odd = _inputs(said)
        for path, data in inputs.items():
            place(root, f"input/{path}").write_bytes(data)
        found += [*odd, *make_environment(said.pins, version, place(root, ".venv"), report, trust=trust)]
        take = partial(snapshot_install, observed=Observed())  # what is seen of this machine is none of theirs
        if trust and said.api is not None:
            ui, booted = said.ui or _EMPTY, boot(find_install(root), report)
            capsule = make_capsule(
                booted.install,
                ui,
                said.api,
                booted.object_info,
                name=name,
                message=message,
                take=take,
                report=report,
            )
            return _with(capsule, said.models, found)
        taken = take(unexecuted_install(root, lock_for(version)), name=name, message=message, report=report)
    if said.api is not None:
        found.append(no_contract("it takes the definitions of its nodes, and nothing that was fetched was run"))
    return without_secrets(_with(_unrun(taken, said, name, inputs), said.models, found))


def _unrun(taken: Snapshot, said: Described, name: str, inputs: Mapping[str, bytes]) -> Capsule:
    """The capsule of a snapshot and of graphs whose nodes nobody asked for their definitions."""
    files = tuple(
        InputFile(name=path, size=len(data), sha256=sha256_bytes(data)) for path, data in sorted(inputs.items())
    )
    return Capsule(
        lock=taken.lock.model_copy(update={"inputs": files}),
        pylock=taken.pylock,
        workflow=said.ui or _EMPTY,
        graph=said.api or {},
        contract=Contract(name=name),
        object_info={},
        files={**taken.files, **{f"inputs/{path}": data for path, data in inputs.items()}},
    )


def _with(capsule: Capsule, models: Iterable[Model], findings: Iterable[Finding]) -> Capsule:
    """`capsule` with the models and findings of the file; a model that was missed and is named there, is no longer."""
    lock = capsule.lock
    there = {(model.folder, model.name) for model in lock.models}
    more = [model for model in models if (model.folder, model.name) not in there]
    named = {model.name for model in more}
    kept = [item for item in lock.findings if not (item.code == "model-missing" and item.subject in named)]
    lock = lock.model_copy(update={"models": (*lock.models, *more), "findings": tuple(kept)})
    return with_findings(replace(capsule, lock=lock), findings)


def with_findings(capsule: Capsule, findings: Iterable[Finding]) -> Capsule:
    """`capsule` with these findings too, as one that is not written yet."""
    every = {*capsule.lock.findings, *findings}
    ordered = tuple(sorted(every, key=lambda item: (not item.blocks, item.code, item.subject, item.message)))
    return replace(capsule, lock=capsule.lock.model_copy(update={"findings": ordered}), sealed="")


def _inputs(said: Described) -> tuple[dict[str, bytes], list[Finding]]:
    """The input files with names that every system has."""
    kept, findings = {}, []
    for name, data in said.inputs.items():
        try:
            kept[safe_name(name)] = data
        except BadInput:
            message = f"The input file {name!a} of the {FORMS[said.form]} has an unsafe name."
            findings.append(left_out(ascii(name), message))
    return kept, findings
