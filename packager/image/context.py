"""From a capsule to a whole build context: a folder that plain ``docker buildx build`` makes the image from."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import SUFFIX, Capsule, write_capsule
from ..errors import BadInput
from ..materialise import (
    Derived,
    ModelStore,
    Packs,
    as_model,
    carried_bytes,
    chosen_packs,
    derived,
    fitted,
    link_or_copy,
    materialise_sources,
    obtain_models,
    pack_place,
    place,
    read_pylock,
    translation,
    used_files,
    used_place,
)
from ..progress import Progress, Report
from ..proof.parts import DERIVED, PACKS, TREES, Trees, trees_json, write_parts
from ..snapshot import packages_of_python, with_torch
from .dockerfile import compose, dockerfile, readme
from .equal import make_equal, name_by_content
from .layout import COMFYUI, PYTHON
from .lock import write_lock
from .own import copy_own, requirements
from .plan import BakedModel, ImagePlan, ModelPolicy, make_plan
from .python import carry_python, find_prefix

#: The file with the names of the Debian packages that the image must have.
PACKAGES = "os/packages.txt"

_LAUNCHER = "launcher/usr/local/bin/comfy-capsule"


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
    torch: str = "",
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
        torch: another build of torch than the captured one, ``cpu`` or ``cu130``.

    Raises:
        BadInput: ``context-exists``, ``image-no-python``, ``platform-differs``, ``no-torch``, ``no-torch-build``, and
            what `make_plan` refuses.
        CapsuleError: what cannot be fetched, see `materialise_sources` and `ModelStore.obtain`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("context-exists", f"{folder} is there already and is no empty folder.", "Name a new folder.")
    said = capsule.lock.platform
    here = fitted(capsule, "linux", machine or (said.arch if said.os == "linux" else ""))
    if translated := translation(capsule, here):
        report(Progress(phase="image", item=f"Python lock {translated.what}"))
    changed = _with_torch(here, torch, report) if torch else None
    if changed is not None:
        here = derived(here, changed)
    plan = make_plan(here, base=base, packs=packs, prove=prove, python_in_base=python_in_base, policies=policies)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        beside = Path(scratch) / "context"
        beside.mkdir()
        stored = _fill(here, plan, beside, report, models_from=models_from, packs=packs)
        # With the digests that name it, but without what is vendored: that is in the image's other layers.
        write_capsule(capsule, beside / "capsule" / f"{capsule.name}{SUFFIX}", part=0)
        if changed is not None:
            (beside / "capsule" / DERIVED).write_text(changed.model_dump_json(indent=1), encoding="utf-8")
        named = name_by_content(beside, stored)
        (beside / "Dockerfile").write_text(dockerfile(plan, named), encoding="utf-8", newline="\n")
        size = make_equal(beside, stored, named.values())
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    return Context(folder=folder, plan=plan, size_bytes=size)


def _with_torch(capsule: Capsule, build: str, report: Report) -> Derived:
    platform = capsule.lock.platform
    made = with_torch(capsule.pylock, build, platform.arch, platform.python, Path(sys.executable))
    for finding in made.findings:
        report(Progress(phase="image", item=finding.message))
    version = read_pylock(made.text).versions()["torch"]
    return Derived(pylock=made.text, torch=version, findings=made.findings)


def _fill(
    capsule: Capsule, plan: ImagePlan, into: Path, report: Report, *, models_from: Sequence[Path], packs: Packs
) -> dict[int, str]:
    """Write everything but the capsule and the Dockerfile; returns the files that are the store's, see `_models`."""
    packages = set(plan.packages)
    if plan.python == "carried":
        _require_this_platform(capsule)
        prefix = find_prefix(plan.python_version, capsule.lock.platform.implementation)
        python = place(into / "python", PYTHON[1:])
        carry_python(prefix, plan.python_version, python, report)
        packages |= packages_of_python(python)
    trees = _sources(capsule, into, report, packs)
    stored = _models(capsule, plan, into, report, models_from, packs)
    _links(plan, into / "links")
    report(Progress(phase="image", item="gateway"))
    copy_own(into / "gateway")
    here = Path(__file__).parent
    write_lock(capsule, plan, into / "lock")
    texts = {
        "README.md": readme(plan),
        **compose(plan),
        "os/install.sh": (here / "install-os-packages.sh").read_text(),
        PACKAGES: "\n".join(sorted(packages)) + "\n",
        _LAUNCHER: (here / "launcher.sh").read_text(),
        "build/gateway-requirements.txt": requirements("gateway").read_text(),
        "build/uv-requirements.txt": requirements("uv").read_text(),
        f"capsule/{TREES}": trees_json(trees),
    }
    write_parts(capsule, trees, packs, into / "parts")
    for name, text in texts.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(text, encoding="utf-8", newline="\n")
    (into / _LAUNCHER).chmod(0o755)
    return stored


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
    """ComfyUI and each pack apart, so that each becomes a layer of its own; the names of the files of each."""
    staging = into / ".sources"
    staging.mkdir()
    made = materialise_sources(capsule, staging, report, packs=packs, with_git=False)
    target = into / "sources" / "packs"
    target.mkdir(parents=True)
    for pack in chosen_packs(capsule, packs):
        name = pack_place(pack)
        made.packs[name].rename(place(target / name, f"{COMFYUI[1:]}/{PACKS}/{name}"))
    made.comfyui.rename(into / "sources" / "comfyui")
    shutil.rmtree(staging)
    return made.names


def _links(plan: ImagePlan, into: Path) -> None:
    """The models that are in no layer, as links to where they will be."""
    for model in plan.linked:
        place(into, _place_of(model)).symlink_to(model.target)


def _models(
    capsule: Capsule, plan: ImagePlan, into: Path, report: Report, models_from: Sequence[Path], packs: Packs
) -> dict[int, str]:
    """``models/SHA256/`` and ``files/``: models and further files, below these as in the image. A model that is used
    under two names is in one layer. Returns the sha256 of the files that are the store's, by their inode here.
    """
    baked = {item.sha256 for item in plan.models}
    models = {item.sha256: item for item in capsule.lock.models if item.sha256 in baked}
    wanted = [(f"models/{item.sha256}/{_place_of(item)}", item.sha256) for item in plan.models]
    for file in used_files(capsule, packs):
        name = f"files/{COMFYUI[1:]}/{used_place(file)}"
        if (data := carried_bytes(capsule, file)) is not None:
            place(into, name).write_bytes(data)
        else:
            models.setdefault(file.sha256, as_model(file))
            wanted.append((name, file.sha256))
    wanted_models, held = list(models.values()), capsule.vendored
    stored = obtain_models(wanted_models, ModelStore(), report, models_from=models_from, vendored=held)
    placed = {}
    for name, digest in wanted:
        target = place(into, name)
        link_or_copy(stored[digest], target)
        placed[target.stat().st_ino] = digest
    return placed


def _place_of(model: BakedModel) -> str:
    return f"{COMFYUI[1:]}/models/{model.folder}/{model.name}"
