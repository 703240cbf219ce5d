"""The trouble install: a real ComfyUI with every kind of trouble in it, read whole, told line by line, given back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trees
from bench import UPSCALE, bench_install, fresh_install, make_own
from bench.index import make_wheel
from bench.python_env import install
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.comfy import boot_object_info, find_install
from comfy_capsule.packager.export import make_capsule
from comfy_capsule.packager.materialise import ModelStore, site_packages
from comfy_capsule.packager.restore import restore

MODEL = "sub dir/ünï.safetensors"
BENCH_PACKS = ("bench-flip", "bench-palette", "bench-text", "bench-tint", "bench-v3")


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private ComfyUI with a pack of every kind, in every place, and local changes of its own."""
    folder = tmp_path_factory.mktemp("trouble")
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
    yield comfy
    shutil.rmtree(folder)


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


def _graph() -> dict[str, Any]:
    """The upscale workflow with a loader of a model elsewhere, of a pickle, and of an input in a subfolder."""
    loaders = {
        "90": ("UpscaleModelLoader", {"model_name": MODEL}),
        "91": ("UpscaleModelLoader", {"model_name": "old.pth"}),
        "92": ("LoadImage", {"image": "sub/photo one.png [input]"}),
    }
    return UPSCALE.api | {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in loaders.items()}


EXPECTED = {
    ("ComfyUI", "local-changes"),
    ("ComfyUI", "local-origin"),
    ("bench-x2.safetensors", "model-without-source"),
    ("broken-link", "pack-broken-link"),
    ("linked", "no-origin"),
    ("linked", "pack-linked"),
    ("elsewhere", "secret-file-left-out"),
    ("hidden@1_0_0", "secret-file-left-out"),
    ("idna", "dist-modified"),
    ("off", "secret-file-left-out"),
    ("old.pth", "model-without-source"),
    ("packs/token_in_the_commit.patch", "secret-carried"),
    ("old.pth", "pickle-model"),
    ("site-packages", "stray-files"),
    (MODEL, "model-without-source"),
    ("trouble-editable", "local-distribution"),
    ("trouble-ghost", "dist-broken"),
    ("trouble-local", "local-distribution"),
    ("twin", "pack-twice"),
    ("twin", "secret-file-left-out"),
    *((name, "local-origin") for name in BENCH_PACKS),
    *((make.__name__, code) for make, codes in trees.KINDS for code in codes),
}


@pytest.fixture(scope="module")
def capsule(trouble: Path, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """Its upscale workflow, exported twice: both files must have the same bytes."""
    found = find_install(trouble)
    object_info = boot_object_info(found)
    files = [tmp_path_factory.mktemp("capsules") / f"{number}.capsule.zip" for number in range(2)]
    for file in files:
        write_capsule(make_capsule(found, UPSCALE.ui, _graph(), object_info, name="upscale"), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    return read_capsule(files[0])


def test_every_trouble_is_told(capsule: Capsule) -> None:
    assert {(item.subject, item.code) for item in capsule.lock.findings} == EXPECTED
    assert [item.code for item in capsule.lock.findings if item.blocks] == ["pack-twice"]


def test_the_same_install_elsewhere_has_the_same_environment(capsule: Capsule, trouble: Path, tmp_path: Path) -> None:
    """Copied to another folder, links into its old place and all."""
    moved = tmp_path / "moved/ComfyUI"
    moved.parent.mkdir()
    subprocess.run(["cp", "-a", "--reflink=auto", str(trouble), str(moved)], check=True)
    found = find_install(moved)
    again = make_capsule(found, UPSCALE.ui, _graph(), boot_object_info(found), name="upscale")
    assert again.digests.environment == capsule.digests.environment
    shutil.rmtree(moved)


def test_the_capsule_alone_gives_it_back(capsule: Capsule, tmp_path: Path) -> None:
    """Nothing of where it came from is asked: its origins are gone, or were never there."""
    store, models = ModelStore(tmp_path / "store"), [bench_install() / "models"]
    made = restore(capsule, tmp_path / "ComfyUI", trust=True, models_from=models, store=store)
    assert made.table.equal, made.table.differing
    assert (made.path / "my_helper.py").read_text() == "# untracked\n"
    assert (made.path / "custom_nodes/.disabled/hidden@1_0_0/sub/link").is_symlink()
    shutil.rmtree(tmp_path)
