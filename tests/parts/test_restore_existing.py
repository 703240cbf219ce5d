"""Restore into ComfyUIs that are there already: merged or exact, whole or not at all, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.git import git
from bench.python_env import HERE
from bench.small import MODEL, PICTURE, USED, Small, whole_tree
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.materialise import installed_versions
from comfy_capsule.packager.restore import (
    ExistingPlan,
    Mode,
    rollback,
    verify,
)


def actions(plan: ExistingPlan, what: str = "") -> dict[str, str]:
    return {step.item: step.action for step in plan.steps if what in ("", step.what)}


KINDS = ("clean", "other-packs", "conflict", "other-version")


@pytest.mark.parametrize("mode", ["merge", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_capsule_and_undone_it_is_as_before(kind: str, mode: Mode, small: Small, tmp_path: Path) -> None:
    root = small.kind(kind, tmp_path / "ComfyUI")
    before = whole_tree(root)
    plan = small.plan(root, mode)
    assert whole_tree(root) == before
    if (kind, mode) == ("conflict", "merge"):
        with pytest.raises(CapsuleError) as caught:
            small.into(root, mode)
        assert (caught.value.code, caught.value.exit_status) == ("python-conflict", 3)
        assert "other needs alpha<2: 1.0 is here, the capsule pins 2.0" in caught.value.message
        assert [finding.code for finding in plan.against] == ["python-conflict"]
        assert whole_tree(root) == before
        return
    assert plan.against == ()
    done = small.into(root, mode)
    assert done.table.equal, done.table.differing
    assert [row.kind for row in done.table.rows if row.kind == "digest"] == ["digest"]
    assert done.changes == plan.steps
    assert (root / "models/upscale_models/sub/x2.safetensors").read_bytes() == MODEL
    assert (root / "input/a.png").read_bytes() == PICTURE
    assert (root / "custom_nodes/tint/own/t.bin").read_bytes() == USED
    assert (root / ".capsule-cache/huggingface/hub/x.bin").read_bytes() == USED
    assert git("status", "--porcelain", cwd=root) == ""
    alone = {(row.kind, row.subject) for row in verify(small.capsule, root).differing}
    assert alone == BESIDE.get((kind, mode), set())
    ended = rollback(root)
    assert (ended.how, ended.capsule) == ("rolled-back", small.capsule.digests.id)
    assert whole_tree(root) == before


#: What `verify` alone, which knows nothing of a merge, finds beside the capsule's.
BESIDE = {
    ("other-packs", "merge"): {
        *{("pack", "other"), ("pack", "single.py"), ("digest", "environment")},
        *(("python", name) for name in ("beta", "gamma", "unused")),
    },
    ("other-packs", "exact"): {("pack", "other"), ("pack", "single.py"), ("digest", "environment")},
    ("conflict", "exact"): {("pack", "other"), ("digest", "environment")},
}


def test_a_merge_keeps_the_rest_and_what_git_ignores(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-packs", tmp_path / "ComfyUI")
    plan = small.plan(root, "merge")
    assert actions(plan, "pack") == {
        "off.disabled": "add",
        "plain": "add",
        "tint": "change",
        "other": "keep",
        "single.py": "keep",
    }
    assert actions(plan, "python") == {f"cpython {HERE} in .venv": "keep"}
    done = small.into(root, "merge")
    assert (root / "custom_nodes/tint/__init__.py").read_text() == "2\n"
    assert (root / "custom_nodes/tint/settings.ini").read_text() == "mine\n"
    assert (root / "custom_nodes/other/settings.ini").read_text() == "mine\n"
    assert set(installed_versions(root / ".venv")) == {"alpha", "beta", "gamma", "unused"}
    assert "Beside it are kept 2 packs: other, single.py; 3 distributions: beta, gamma, unused." in done.table.sentence
    assert git("status", "--porcelain", cwd=root / "custom_nodes/tint") == ""


def test_exact_disables_the_rest_and_deletes_nothing(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-packs", tmp_path / "ComfyUI")
    (root / "custom_nodes/other.disabled").mkdir()
    plan = small.plan(root, "exact")
    assert actions(plan, "pack")["other"] == actions(plan, "pack")["single.py"] == "disable"
    assert actions(plan, "distribution") == dict.fromkeys(("beta", "gamma", "unused"), "drop")
    small.into(root, "exact")
    found = sorted(path.name for path in (root / "custom_nodes").iterdir())
    assert [name for name in found if name not in ("tint", "plain", "websocket_image_save.py")] == [
        *("off.disabled", "other.2.disabled", "other.disabled", "single.py.disabled"),
    ]
    assert (root / "custom_nodes/other.2.disabled/settings.ini").read_text() == "mine\n"
    assert set(installed_versions(root / ".venv")) == {"alpha"}


def test_another_version_takes_the_place_of_its_files_and_of_no_other(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    small.into(root, "merge")
    assert (root / "nodes.py").read_text() == "new = 1\n"
    assert (root / "custom_nodes/websocket_image_save.py").read_text() == "new = 1\n"
    assert not (root / "web").exists()
    assert not (root / "comfy/gone.py").exists()
    assert (root / "user.db").read_text() == (root / "comfy/cache.db").read_text() == "mine\n"
    assert (root / "models/upscale_models/sub/x2.safetensors.disabled").read_bytes() == b"another"
    assert installed_versions(root / "venv") == {"alpha": "2.0"}
    assert not (root / ".venv").exists()
    assert "exec venv/bin/python" in (root / "start-comfyui.sh").read_text()


def test_what_a_staying_pack_needs_comes_along_as_it_is_installed(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"other": -1}, wheels=["beta", "gamma", "unused"])
    site = next(root.glob(".venv/lib/*/site-packages"))
    (site / "beta.py").write_text("mine = 1\n")
    plan = small.plan(root, "merge")
    assert actions(plan, "distribution") == {"alpha": "add", "beta": "keep", "gamma": "keep", "unused": "drop"}
    done = small.into(root, "merge")
    assert installed_versions(root / ".venv") == {"alpha": "2.0", "beta": "1.0", "gamma": "1.0"}
    assert (site / "beta.py").read_text() == "mine = 1\n"
    assert done.table.equal
