"""Read what a ComfyUI install is, and write it down as a lock."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from ..cache import Cache
from ..capsule import ApiGraph, ComfyUI, Finding, Lock, Observed, Pack, carried_entries
from ..comfy import Install, Trace
from ..progress import Progress, Report, silent
from ..together import Together
from ..workflow import used_classes
from .carried import find_carried_secrets
from .core import read_core, read_platform
from .inputs import Inputs, read_inputs
from .models.models import Models, read_models
from .observed import observe
from .packs import read_packs
from .python.editable import editable_folder
from .python.lock import lock_python, read_distributions
from .system.system import SystemRead, read_system
from .traced.files import UsedFiles, read_used_files
from .traced.places import Opened, sort_opened
from .trees.tree import ReadTree

_APART = 0.5  # seconds; a part that takes longer has something to read anew, or waits for git or an index


class Snapshot(BaseModel):
    """The lock, the text of `pylock.toml`, and the carried bytes by entry name."""

    model_config = ConfigDict(frozen=True)

    lock: Lock
    pylock: str
    files: dict[str, bytes] = Field(exclude=True)  # of no use as JSON

    def with_packs(self, packs: Sequence[Pack]) -> Snapshot:
        """The snapshot with these of its packs only: findings and files of the others go with them."""
        gone = {pack.name for pack in self.lock.packs} - {pack.name for pack in packs}
        lock = self.lock.model_copy(update={"packs": tuple(packs)})
        without = {*carried_entries(self.lock)} - {*carried_entries(lock)}
        findings = tuple(item for item in self.lock.findings if item.subject not in gone | without)
        lock = lock.model_copy(update={"findings": findings})
        files = {name: data for name, data in self.files.items() if name not in without}
        return Snapshot(lock=lock, pylock=self.pylock, files=files)


def snapshot_install(
    install: Install,
    *,
    name: str = "snapshot",
    message: str = "",
    graph: ApiGraph | None = None,
    ui: Mapping[str, Any] | None = None,
    object_info: Mapping[str, Any] | None = None,
    look_up: bool = False,
    cache: Cache | None = None,
    known: str = "",
    trace: Trace | None = None,
    observed: Observed | None = None,
    report: Report = silent,
) -> Snapshot:
    """Read `install` from disk; nothing of it is run or changed.

    Args:
        graph, ui: the workflow whose models, inputs and used packs are recorded; without it none are.
        object_info: node definitions of the running ComfyUI; needed for the packs' classes and the models.
        look_up: whether Hugging Face and Civitai may be asked which addresses have the models' bytes.
        cache: of what was read before; the user's own when not given.
        trace: of a run of the workflow here; what it opened is recorded too.
        known: the text of a `pylock.toml` whose word is taken for what equals it; no package index is asked then.
        observed: what is seen of the machine, where somebody else looks at it.
    """
    used = frozenset(used_classes(graph)) if graph else frozenset()
    cache = cache or Cache()
    opened = _opened(install, trace, cache) if trace is not None else Opened((), (), (), ())
    work = Together(report, apart=_APART)  # those that may wait long for others come first
    python_read = work.start(lambda tell: lock_python(install, tell, known=known, cache=cache))
    packs_read = work.start(lambda tell: read_packs(install, object_info, used, tell, cache))
    core_read = work.start(lambda tell: _read_core(install, tell))
    system_read = work.start(lambda tell: _read_system(install, cache, tell))
    models_read = inputs_read = files_read = None
    if graph is not None and object_info is not None:
        models_read = work.start(
            lambda tell: read_models(
                install, graph, ui or {}, object_info, tell, cache=cache, look_up=look_up, opened=opened.models
            )
        )
        inputs_read = work.start(lambda tell: read_inputs(install, graph, object_info, tell, opened.inputs))
    if trace is not None:
        files_read = work.start(lambda tell: read_used_files(opened, trace, Path.home(), tell, cache))
    work.wait()
    core, packs = core_read.result(), packs_read.result()
    python, system = python_read.result(), system_read.result()
    models = models_read.result() if models_read is not None else Models(models=(), findings=())
    inputs = inputs_read.result() if inputs_read is not None else Inputs((), (), {})
    used_files = files_read.result() if files_read is not None else UsedFiles((), (), {})
    every = (core, packs, python, system, models, inputs, used_files)
    files = {**core.files, **packs.files, **python.files, **inputs.carried, **used_files.carried}
    findings = [*(finding for part in every for finding in part.findings), *find_carried_secrets(files)]
    lock = Lock(
        name=name,
        message=message,
        platform=read_platform(install, python.versions),
        comfyui=ComfyUI(version=install.version, **core.source),
        system=system.system,
        packs=packs.packs,
        models=models.models,
        inputs=inputs.files,
        files=used_files.files,
        observed=observe(install) if observed is None else observed,
        findings=_sorted(findings),
    )
    return Snapshot(lock=lock, pylock=python.text, files=files)


def _opened(install: Install, trace: Trace, cache: Cache) -> Opened:
    installed, _ = read_distributions(install, cache)
    folders = [editable_folder(item.distribution, item.places) for item in installed if item.distribution.editable]
    return sort_opened(install, trace, os.environ, Path.home(), [folder for folder in folders if folder])


def _read_core(install: Install, report: Report) -> ReadTree:
    report(Progress(phase="comfyui", total=1))
    read = read_core(install)
    report(Progress(phase="comfyui", done=1, total=1))
    return read


def _read_system(install: Install, cache: Cache, report: Report) -> SystemRead:
    listed = metadata.distributions(path=[str(folder) for folder in install.site_packages])
    versions = {str(canonicalize_name(item.metadata["Name"])): item.version for item in listed if item.metadata["Name"]}
    return read_system(install, platform.system().lower(), versions, cache, report)


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    """Those that block first, then by code and subject: the order does not depend on how they were found."""
    return tuple(sorted(set(findings), key=lambda item: (not item.blocks, item.code, item.subject)))
