"""The models, inputs and used files of an existing install against the capsule's. A user's own file is never replaced:
one in the way gets another name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...capsule import NOT_CORE, RESTORES, Capsule, Finding, safe_name
from ...errors import BadInput
from ...materialise import ModelStore, as_model, carried_bytes, used_files, used_place
from ...progress import Report
from ..compare import file_rows, input_rows, model_rows
from ..plan import whence
from ..table import Row
from .draft import ALL, Change, Draft


def plan_files(
    draft: Draft, capsule: Capsule, report: Report, *, models_from: Sequence[Path], store: ModelStore
) -> None:
    """Keep what is there, add what is missing; what has such a name and other bytes is put aside."""
    install = draft.target.install
    models = capsule.lock.models
    for model, row in zip(models, model_rows(models, install.model_folders, report), strict=True):
        name = safe_name(f"models/{model.folder}/{model.name}")
        if not row.equal and row.found != "missing" and not draft.is_there(name):
            draft.against.append(_elsewhere(row))
        elif not row.equal:
            draft.models.append(model)
        source, risk = whence(capsule, model, models_from, store)
        _plan(draft, row, name, source, model.size, risk)
    inputs = capsule.lock.inputs
    for item, row in zip(inputs, input_rows(inputs, install.input_dir), strict=True):
        if not row.equal:
            draft.inputs.append(item)
        _plan(draft, row, safe_name(f"input/{item.name}"), "the capsule", item.size, "")
    _plan_used(draft, capsule, report, models_from, store)


def _plan_used(draft: Draft, capsule: Capsule, report: Report, models_from: Sequence[Path], store: ModelStore) -> None:
    files = list(used_files(capsule, ALL))
    own = tuple(f"custom_nodes/{pack.path}/" for pack in capsule.lock.packs)
    made = tuple(f"custom_nodes/{pack.path}/" for pack in draft.packs)
    for file, row in zip(files, file_rows(files, draft.target.install, report), strict=True):
        name = used_place(file)
        top = name.partition("/")[0]
        if top in (RESTORES, draft.target.venv) or (top == "custom_nodes" and not name.startswith(own)):
            message = f"The lock names a used file {name!r}, which is none of ComfyUI's nor of a pack in it."
            raise BadInput("capsule-unsafe-name", message, "Do not use this capsule; ask its author for a new one.")
        source, risk = whence(capsule, as_model(file), models_from, store)
        if carried_bytes(capsule, file) is not None:
            source, risk = "the capsule", ""
        if name.startswith(made):  # it comes with the pack that is made
            draft.files.append(file)
            draft.changes.append(Change(action="add", what="file", item=name, source=source, size=file.size, risk=risk))
            continue
        if not row.equal:
            draft.files.append(file)
        _plan(draft, row, name, source, file.size, risk)


def _plan(draft: Draft, row: Row, name: str, source: str, size: int, risk: str) -> None:
    if row.equal:
        draft.changes.append(Change(action="keep", what=row.kind, item=row.subject, before=row.found, source=""))
        return
    draft.check_place(name)
    there = draft.is_there(name)
    if there and draft.core and name.partition("/")[0] not in NOT_CORE:
        risk = "; ".join(filter(None, [risk, "what is there is in the backup"]))
    elif there:
        aside = f"what is there is kept as {draft.put_aside(name)}"
        risk = "; ".join(filter(None, [risk, aside]))
    before = row.found if there else ""
    action = "change" if there else "add"
    said = Change(action=action, what=row.kind, item=row.subject, before=before, source=source, size=size, risk=risk)
    draft.changes.append(said)


def _elsewhere(row: Row) -> Finding:
    return Finding(
        code="model-elsewhere",
        subject=row.subject,
        message=f"A folder outside this ComfyUI's own has another file as the model {row.subject}; it is not touched.",
        cure="Rename that file, or restore into a new folder.",
        blocks=True,
    )
