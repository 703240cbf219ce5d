"""From a capsule to a whole build context: a folder that plain ``docker buildx build`` makes the image from."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import SUFFIX, Capsule, write_capsule
from ..errors import BadInput
from ..materialise import (
    ModelStore,
    Packs,
    as_model,
    carried_bytes,
    chosen_packs,
    fitted,
    link_or_copy,
    materialise_sources,
    obtain_models,
    pack_place,
    place,
    translation,
    used_files,
)
from ..progress import Progress, Report
from ..proof.parts import TREES, Trees, trees_json, write_parts
from ..snapshot import packages_of_python
from .dockerfile import compose, dockerfile, readme
from .lock import write_lock
from .own import copy_own, requirements
from .plan import EPOCH, ImagePlan, ModelPolicy, make_plan
from .python import carry_python, find_prefix


class Context(BaseModel):
    """A written build context: where it is, and what it was made from."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    plan: ImagePlan
    size_bytes: int


def write_context(
    capsule: Capsule,
    folder: Path,
    *,
    report: Report,
    base: str = "",
    models_from: Sequence[Path] = (),
    packs: Packs = "used",
    prove: bool = True,
    python_in_base: bool = False,
    machine: str = "",
    policies: Mapping[str, ModelPolicy] | None = None,
) -> Context:
    """Write everything the image is made from into `folder`, which must not exist or be empty; whole or not at all.

    The same capsule gives the same bytes, names, modes and times. Nothing of the capsule is run.

    Args:
        base: the base image; a slim Debian when empty.
        models_from: folders in which models are looked for, by their sha256.
        python_in_base: whether the base has exactly the captured Python at ``/usr/local/bin/python3``.
        machine: the image's, as `platform.machine` or an engine names it; where it is not said that of a capsule from
            Linux, else this one's.
        policies: of models, see `make_plan`.

    Raises:
        BadInput: ``context-exists``, ``image-no-python``, ``platform-differs``, and what `make_plan` refuses.
        CapsuleError: what cannot be fetched, see `materialise_sources` and `ModelStore.obtain`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("context-exists", f"{folder} is there already and is no empty folder.", "Name a new folder.")
    said = capsule.lock.platform
    here = fitted(capsule, "linux", machine or (said.arch if said.os == "linux" else ""))
    if translated := translation(capsule, here):
        report(Progress(phase="image", item=f"Python lock {translated.what}"))
    plan = make_plan(here, base=base, packs=packs, prove=prove, python_in_base=python_in_base, policies=policies)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        beside = Path(scratch) / "context"
        beside.mkdir()
        _fill(here, plan, beside, report, models_from=models_from, packs=packs)
        write_capsule(capsule, beside / "capsule" / f"{capsule.name}{SUFFIX}")  # as it is: its digests name it
        size = _make_equal(beside)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    return Context(folder=folder, plan=plan, size_bytes=size)


def _fill(
    capsule: Capsule, plan: ImagePlan, into: Path, report: Report, *, models_from: Sequence[Path], packs: Packs
) -> None:
    packages = set(plan.packages)
    if plan.python == "carried":
        _require_this_platform(capsule)
        prefix = find_prefix(plan.python_version, capsule.lock.platform.implementation)
        carry_python(prefix, plan.python_version, into / "python", report)
        packages |= packages_of_python(into / "python")
    trees = _sources(capsule, into, report, packs)
    _models(capsule, plan, into / "models", report, models_from, packs)
    _links(plan, into / "links")
    report(Progress(phase="image", item="gateway"))
    copy_own(into / "gateway")
    here = Path(__file__).parent
    write_lock(capsule, plan, into / "lock")
    texts = {
        "Dockerfile": dockerfile(plan),
        "README.md": readme(plan),
        **compose(plan),
        "os/install.sh": (here / "install-os-packages.sh").read_text(),
        "os/packages.txt": "\n".join(sorted(packages)) + "\n",
        "build/comfy-capsule": (here / "launcher.sh").read_text(),
        "build/gateway-requirements.txt": requirements("gateway").read_text(),
        "build/uv-requirements.txt": requirements("uv").read_text(),
        f"capsule/{TREES}": trees_json(trees),
    }
    write_parts(capsule, trees, packs, into / "parts")
    for name, text in texts.items():
        (into / name).parent.mkdir(exist_ok=True)
        (into / name).write_text(text, encoding="utf-8", newline="\n")


def _require_this_platform(capsule: Capsule) -> None:
    """The Python that is carried is this machine's own build."""
    said, here = capsule.lock.platform, (sys.platform, platform.machine())
    if (said.os, said.arch) != here:
        raise BadInput(
            "platform-differs",
            f"The image is for {said.os}/{said.arch}, and the Python that it would carry is for {here[0]}/{here[1]}.",
            f"Build on such a machine, or give a --base with that Python, e.g. python:{said.python}-slim.",
        )


def _sources(capsule: Capsule, into: Path, report: Report, packs: Packs) -> Trees:
    """ComfyUI and each pack in folders of their own, so that each becomes a layer of its own; the files of each."""
    staging = into / ".sources"
    staging.mkdir()
    made = materialise_sources(capsule, staging, report, packs=packs, with_git=False)
    target = into / "sources" / "custom_nodes"
    target.mkdir(parents=True)
    for pack in chosen_packs(capsule, packs):
        there = target / pack_place(pack)
        there.parent.mkdir(exist_ok=True)  # ``.disabled``
        made.packs[pack_place(pack)].rename(there)
    made.comfyui.rename(into / "sources" / "comfyui")
    shutil.rmtree(staging)
    return made.names


def _links(plan: ImagePlan, into: Path) -> None:
    """The models that are in no layer, as links to where they will be."""
    for model in plan.linked:
        place(into, f"{model.folder}/{model.name}").symlink_to(model.target)


def _models(
    capsule: Capsule, plan: ImagePlan, into: Path, report: Report, models_from: Sequence[Path], packs: Packs
) -> None:
    """The models and further files by their digest: one that is used under two names is one file."""
    into.mkdir()
    baked = {item.sha256 for item in plan.models}
    models = {item.sha256: item for item in capsule.lock.models if item.sha256 in baked}
    for file in used_files(capsule, packs):
        if (data := carried_bytes(capsule, file)) is not None:
            (into / file.sha256).write_bytes(data)
        else:
            models.setdefault(file.sha256, as_model(file))
    for digest, path in obtain_models(list(models.values()), ModelStore(), report, models_from=models_from).items():
        if not (into / digest).exists():
            link_or_copy(path, into / digest)


def _make_equal(folder: Path) -> int:
    """Give every file the same modes and times on every machine; returns the bytes in all.

    Models are links into the store, whose files are read-only and keep their times.
    """
    size = 0
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(root, name)
            status = path.lstat()
            size += status.st_size
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                path.chmod(0o755 if status.st_mode & stat.S_IXUSR else 0o644)
            if status.st_nlink == 1:
                os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
        for name in folders:
            if Path(root, name).is_symlink():
                os.utime(Path(root, name), (EPOCH, EPOCH), follow_symlinks=False)
        os.chmod(root, 0o755)
        os.utime(root, (EPOCH, EPOCH))
    return size
