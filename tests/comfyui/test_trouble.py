"""The trouble install: a real ComfyUI with every kind of trouble in it, read whole, told line by line, given back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import trees
from bench import UPSCALE, bench_install
from bench.trouble import MODEL, trouble_graph, trouble_install
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.comfy import boot_object_info, find_install
from comfy_capsule.packager.export import make_capsule
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.restore import restore

BENCH_PACKS = ("bench-flip", "bench-palette", "bench-text", "bench-tint", "bench-v3")


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("trouble")
    yield trouble_install(folder)
    shutil.rmtree(folder)


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
        write_capsule(make_capsule(found, UPSCALE.ui, trouble_graph(), object_info, name="upscale"), file)
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
    again = make_capsule(found, UPSCALE.ui, trouble_graph(), boot_object_info(found), name="upscale")
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
