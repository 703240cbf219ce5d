"""Restore of the bench's ComfyUI: the capsule alone gives back an install that draws the same pixels."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from bench import UPSCALE, bench_install, make_own, pixels, running
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.comfy import boot_object_info, find_install
from comfy_capsule.packager.export import make_capsule
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.restore import Restored, restore, verify


@pytest.fixture(scope="module")
def capsule(tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """The bench's upscale workflow, written to a file and read again."""
    install = find_install(bench_install())
    made = make_capsule(install, UPSCALE.ui, UPSCALE.api, boot_object_info(install), name="upscale")
    file = tmp_path_factory.mktemp("capsule") / "upscale.capsule.zip"
    write_capsule(made, file)
    return read_capsule(file)


EVENTS: list[Progress] = []


@pytest.fixture(scope="module")
def restored(capsule: Capsule, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    """The capsule restored into an empty folder, booted; 6 GB, gone when the tests are done."""
    folder = tmp_path_factory.mktemp("restored")
    store, models = ModelStore(folder / "store"), [bench_install() / "models"]
    yield restore(capsule, folder / "ComfyUI", trust=True, models_from=models, store=store, report=EVENTS.append)
    shutil.rmtree(folder)


def test_every_line_is_equal(capsule: Capsule, restored: Restored) -> None:
    assert restored.table.equal, restored.table.differing
    assert restored.table.unproved == ()
    kinds = [row.kind for row in restored.table.rows]
    assert kinds.count("pack") == len(capsule.lock.packs) == 5
    assert kinds.count("python") > 90
    assert kinds.count("node") == 1 + len(capsule.object_info)
    assert {"platform", "comfyui", "model", "input", "digest"} <= set(kinds)
    assert {event.phase for event in EVENTS} >= {"sources", "python", "models", "inputs", "verify", "boot"}


def test_it_is_an_ordinary_install_with_no_trace_of_where_it_was_built(restored: Restored) -> None:
    comfy = restored.path
    for checkout in (comfy, *(path for path in (comfy / "custom_nodes").glob("bench-*"))):
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True
        )
        assert status.stdout == ""
    scripts = [path for path in (comfy / ".venv/bin").iterdir() if path.is_file() and not path.is_symlink()]
    assert not [path for path in scripts if b"comfy-capsule-restoring" in path.read_bytes()]
    said = subprocess.run([comfy / ".venv/bin/alembic", "--help"], capture_output=True, text=True, check=False)
    assert "usage: alembic" in said.stdout


def test_the_same_parameters_give_the_same_pixels(restored: Restored) -> None:
    pictures = []
    for folder in (bench_install(), restored.path):
        with running(folder) as comfy:
            outputs = comfy.generate(UPSCALE.api)
        pictures.append([pixels(item["bytes"]) for output in outputs.values() for item in output.get("images", [])])
    assert pictures[0]
    assert pictures[0] == pictures[1]


def test_one_changed_thing_of_each_kind_is_named(capsule: Capsule, restored: Restored) -> None:
    """Last, for it changes the install; `verify` is the one that a user calls."""
    comfy = restored.path
    nodes = comfy / "custom_nodes/bench-tint/__init__.py"
    nodes.write_text(nodes.read_text() + "\nNODE_CLASS_MAPPINGS['BenchTint'].FUNCTION = 'other'\n"
                     "NODE_CLASS_MAPPINGS['BenchTint'].CATEGORY = 'other'\n")  # fmt: skip
    installed = next(comfy.glob(".venv/lib/*/site-packages/idna/core.py"))
    make_own(installed)
    installed.write_text(installed.read_text() + "# edited\n")
    model = comfy / "models/upscale_models/bench-x2.safetensors"
    make_own(model)
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    untrusted = verify(capsule, comfy)
    changed = {(row.kind, row.subject) for row in untrusted.differing}
    expected = {("pack", "bench-tint"), ("python", "idna"), ("model", "upscale_models/bench-x2.safetensors")}
    assert changed == {*expected, ("digest", "environment")}
    assert "--trust" in untrusted.sentence
    trusted = verify(capsule, comfy, trust=True)
    assert {(row.kind, row.subject) for row in trusted.differing} == {*changed, ("node", "BenchTint")}
