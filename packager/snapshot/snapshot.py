"""Read what a ComfyUI install is, and write it down as a lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..capsule import ApiGraph, Finding, InputFile, Lock, sha256_bytes
from ..comfy import Install
from ..progress import Progress, Report, silent
from ..workflow import input_files, produced_files, used_classes
from .core import read_core, read_platform
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
    known: str = "",
    report: Report = silent,
) -> Snapshot:
    """Read `install` from disk; nothing of it is run or changed.

    Args:
        graph, ui: the workflow whose models, inputs and used packs are recorded; without it none are.
        object_info: node definitions of the running ComfyUI; needed for the packs' classes and the models.
        known: the text of a `pylock.toml` whose word is taken for what equals it; no package index is asked then.
    """
    used = frozenset(used_classes(graph)) if graph else frozenset()
    report(Progress(phase="comfyui", total=1))
    core, findings, patch = read_core(install)
    report(Progress(phase="comfyui", done=1, total=1))
    packs = read_packs(install, object_info, used, report)
    python = lock_python(install, report, known=known)
    models, inputs, files = Models(models=(), findings=()), [], {**packs.files, **python.files}
    if patch:
        files[core.patch] = patch
    if graph is not None and object_info is not None:
        models = read_models(install, graph, ui or {}, object_info, report)
        found, missing, carried = _read_inputs(install, graph, object_info)
        inputs, findings, files = found, [*findings, *missing], {**files, **carried}
    lock = Lock(
        name=name,
        message=message,
        platform=read_platform(install, python.versions),
        comfyui=core,
        packs=packs.packs,
        models=models.models,
        inputs=tuple(inputs),
        findings=_sorted([*findings, *packs.findings, *python.findings, *models.findings]),
    )
    return Snapshot(lock=lock, pylock=python.text, files=files)


def _read_inputs(
    install: Install, graph: ApiGraph, object_info: Mapping[str, Any]
) -> tuple[list[InputFile], list[Finding], dict[str, bytes]]:
    """The files of ComfyUI's input folder that `graph` reads, with their bytes."""
    inputs, files = [], {}
    findings = [_of_another_run(name) for name in produced_files(graph, object_info)]
    root = install.input_dir.resolve()
    for name in sorted(set(input_files(graph, object_info))):
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            findings.append(
                Finding(
                    code="input-missing",
                    subject=name,
                    message=f"The graph reads the input file {name}, which is not in ComfyUI's input folder.",
                    cure="Put the file there, or mark the input and send a file with each request.",
                )
            )
            continue
        data = path.read_bytes()
        inputs.append(InputFile(name=name, size=len(data), sha256=sha256_bytes(data)))
        files[f"inputs/{name}"] = data
    return inputs, findings, files


def _of_another_run(name: str) -> Finding:
    return Finding(
        code="input-of-another-run",
        subject=name,
        message=f"The graph reads {name}, a file that another run made; it is not carried.",
        cure="Copy it into ComfyUI's input folder and choose it there.",
        blocks=True,
    )


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    """Those that block first, then by code and subject: the order does not depend on how they were found."""
    return tuple(sorted(set(findings), key=lambda item: (not item.blocks, item.code, item.subject)))
