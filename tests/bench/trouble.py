"""The trouble install: a real ComfyUI with a pack of every kind, in every place, and local changes of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import trees
from comfy_capsule.packager.materialise import site_packages

from .comfyui import fresh_install, make_own
from .index import make_wheel
from .python_env import install
from .workflows import UPSCALE

MODEL = "sub dir/ünï.safetensors"


def trouble_install(folder: Path) -> Path:
    """Make it in the new `folder`; ComfyUI's own."""
    comfy = fresh_install(folder / "ComfyUI")
    nodes = comfy / "custom_nodes"
    for make, _ in trees.KINDS:
        make(nodes / make.__name__, folder / "aside" / make.__name__)
    trees.checkout(folder / "dev/linked", {"__init__.py": ""}, origin="")
    (nodes / "linked").symlink_to(folder / "dev/linked")
    (nodes / "broken-link").symlink_to("/nowhere")
    trees.plain(nodes / ".disabled/hidden@1_0_0", folder)
    trees.plain(nodes / "off.disabled", folder)
    (nodes / "single.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    for root in (nodes, folder / "shared/custom_nodes"):
        trees.plain(root / "twin", folder)
    trees.plain(folder / "shared/custom_nodes/elsewhere", folder)
    (comfy / "extra_model_paths.yaml").write_text(
        f"shared:\n  base_path: {folder}/shared\n  custom_nodes: custom_nodes\n  upscale_models: upscale_models\n"
    )
    with (comfy / "execution.py").open("a") as file:
        file.write("\n# a local change\n")
    (comfy / "my_helper.py").write_text("# untracked\n")
    (comfy / "models/loras/untracked-in-models.txt").write_text("no part of ComfyUI")
    _trouble_python(comfy, folder)
    elsewhere = folder / "shared/upscale_models"
    for name in (MODEL, "old.pth"):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(comfy / "models/upscale_models/bench-x2.safetensors", elsewhere / name)
    (comfy / "input/sub").mkdir()
    shutil.copyfile(comfy / "input/bench-picture.png", comfy / "input/sub/photo one.png")
    return comfy


def _trouble_python(comfy: Path, folder: Path) -> None:
    """A distribution of every kind of trouble in its environment."""
    site = site_packages(comfy / ".venv")
    install("uv", comfy / ".venv", [make_wheel(folder, "trouble-local"), make_wheel(folder, "trouble-ghost")])
    (folder / "editable/trouble_editable").mkdir(parents=True)
    (folder / "editable/trouble_editable/__init__.py").write_text("")
    (folder / "editable/pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=70"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "trouble-editable"\nversion = "1.0"\n'
    )
    install("uv", comfy / ".venv", ["-e", folder / "editable"])
    (site / "trouble_ghost-1.0.dist-info/METADATA").unlink()
    make_own(site / "idna/core.py")
    with (site / "idna/core.py").open("a") as file:
        file.write("# changed by hand\n")
    (site / "trouble_stray.py").write_text("")


def trouble_graph() -> dict[str, Any]:
    """The upscale workflow with a loader of a model elsewhere, of a pickle, and of an input in a subfolder."""
    loaders = {
        "90": ("UpscaleModelLoader", {"model_name": MODEL}),
        "91": ("UpscaleModelLoader", {"model_name": "old.pth"}),
        "92": ("LoadImage", {"image": "sub/photo one.png [input]"}),
    }
    return UPSCALE.api | {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in loaders.items()}
