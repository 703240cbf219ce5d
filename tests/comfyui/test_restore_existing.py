"""A restore into a real ComfyUI that has been changed: the same pixels again, and undone it is as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench import UPSCALE, Commit, bench_install, build_pack, clone_pack, fresh_install, pixels, running
from bench.git import git
from bench.images import upscale_capsule
from bench.small import whole_tree
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.restore import Mode, restore_existing, rollback

OTHER = "NODE_CLASS_MAPPINGS = {}\n"
LEFT = frozenset({".venv", "__pycache__", "input", "output", "temp", "user"})


@pytest.fixture(scope="module")
def capsule(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    return upscale_capsule(comfyui, tmp_path_factory.mktemp("capsule"))


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The bench's ComfyUI with one pack gone, one at another commit, one more, and without its models."""
    root = fresh_install(tmp_path / "ComfyUI")
    packs = root / "custom_nodes"
    shutil.rmtree(packs / "bench-flip")
    git("checkout", "--quiet", "--detach", "HEAD~1", cwd=packs / "bench-tint")
    clone_pack(build_pack(tmp_path / "origins", "other", Commit("one", {"__init__.py": OTHER})), packs)
    shutil.rmtree(root / "models")
    return root


def drawn(root: Path) -> list[object]:
    with running(root) as comfy:
        outputs = comfy.generate(UPSCALE.api)
    return [pixels(item["bytes"]) for output in outputs.values() for item in output.get("images", [])]


@pytest.mark.parametrize("mode", ["merge", "exact"])
def test_it_draws_the_same_and_is_undone(capsule: Capsule, changed: Path, tmp_path: Path, mode: Mode) -> None:
    environment = sorted(os.listdir(next((changed / ".venv/lib").glob("python*/site-packages"))))
    before = without_environment(changed)
    models, store = [bench_install() / "models"], ModelStore(tmp_path / "store")
    done = restore_existing(capsule, changed, mode, trust=True, models_from=models, store=store)
    assert done.table.equal, done.table.differing
    assert [row.subject for row in done.table.rows if row.kind == "node"]
    kept = (changed / "custom_nodes/other/__init__.py").is_file()
    assert (kept, (changed / "custom_nodes/other.disabled").is_dir()) == (mode == "merge", mode == "exact")
    assert drawn(changed) == drawn(bench_install())
    assert rollback(changed).how == "rolled-back"
    assert without_environment(changed) == before
    assert sorted(os.listdir(next((changed / ".venv/lib").glob("python*/site-packages")))) == environment


def without_environment(root: Path) -> dict[str, tuple[int, bytes]]:
    """All that the restore may change but the environment, which is 5 GB and stays, and what a run leaves behind."""
    tops = [path for path in root.iterdir() if path.is_dir() and path.name not in LEFT]
    return {f"{top.name}/{name}": what for top in tops for name, what in whole_tree(top).items()}
