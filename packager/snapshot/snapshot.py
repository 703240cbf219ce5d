"""Read what a ComfyUI install is, and write it down as a lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..capsule import ApiGraph, Finding, Lock
from ..comfy import Install
from ..progress import Progress, Report, silent
from ..workflow import used_classes
from .core import read_core, read_platform
from .inputs import Inputs, read_inputs
from .models import Models, read_models
from .packs import read_packs
from .python import lock_python


class Snapshot(BaseModel):
    """The lock, the text of `pylock.toml`, and the carried bytes by entry name."""

    model_config = ConfigDict(frozen=True)

    lock: Lock
    pylock: str
    files: dict[str, bytes] = Field(exclude=True)  # of no use as JSON


def snapshot_install(
    install: Install,
    *,
    name: str = "snapshot",
    message: str = "",
    graph: ApiGraph | None = None,
    ui: Mapping[str, Any] | None = None,
    object_info: Mapping[str, Any] | None = None,
    look_up: bool = False,
    report: Report = silent,
) -> Snapshot:
    """Read `install` from disk; nothing of it is run or changed.

    Args:
        graph, ui: the workflow whose models, inputs and used packs are recorded; without it none are.
        object_info: node definitions of the running ComfyUI; needed for the packs' classes and the models.
        look_up: whether Hugging Face and Civitai may be asked which addresses have the models' bytes.
    """
    used = frozenset(used_classes(graph)) if graph else frozenset()
    report(Progress(phase="comfyui", total=1))
    core, findings, patch = read_core(install)
    report(Progress(phase="comfyui", done=1, total=1))
    packs = read_packs(install, object_info, used, report)
    python = lock_python(install, report)
    models, inputs, files = Models(models=(), findings=()), Inputs((), (), {}), dict(packs.files)
    if patch:
        files[core.patch] = patch
    if graph is not None and object_info is not None:
        models = read_models(install, graph, ui or {}, object_info, report, look_up=look_up)
        inputs = read_inputs(install, graph, object_info)
        files.update(inputs.carried)
    lock = Lock(
        name=name,
        message=message,
        platform=read_platform(install, python.versions),
        comfyui=core,
        packs=packs.packs,
        models=models.models,
        inputs=inputs.files,
        findings=_sorted([*findings, *packs.findings, *python.findings, *models.findings, *inputs.findings]),
    )
    return Snapshot(lock=lock, pylock=python.text, files=files)


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    """Those that block first, then by code and subject: the order does not depend on how they were found."""
    return tuple(sorted(set(findings), key=lambda item: (not item.blocks, item.code, item.subject)))
