"""Restore into ComfyUIs that are there already: merged or exact, whole or not at all, and undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.git import commit_all, git, publish
from bench.packs import Commit, build_pack, clone_pack
from bench.packs import Pack as Published
from bench.python_env import HERE
from bench.small import MODEL, PICTURE, USED, Small, as_small, make_capsule, whole_tree
from comfy_capsule.packager.errors import Blocked, CapsuleError
from comfy_capsule.packager.materialise import ModelStore, installed_versions
from comfy_capsule.packager.restore import (
    ExistingPlan,
    Mode,
    restore,
    restore_existing,
    rollback,
    verify,
)
from comfy_capsule.packager.snapshot import snapshot_install


def actions(plan: ExistingPlan, what: str = "") -> dict[str, str]:
    return {step.item: step.action for step in plan.steps if what in ("", step.what)}


LOCAL = ("-c", "protocol.file.allow=always")
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


def test_from_one_capsule_to_another_and_back(small: Small, tmp_path: Path) -> None:
    older = make_capsule(tmp_path / "older", small.origins, commit=0, wheel="alpha1")
    root, models, store = tmp_path / "Comfy UI é", [small.folder / "mine"], ModelStore(tmp_path / "store")
    assert restore(older, root, models_from=models, store=store).table.equal
    first = whole_tree(root)
    assert small.into(root, "exact").table.equal
    assert (root / "nodes.py").read_text() == "new = 1\n"
    second = {name: file for name, file in whole_tree(root).items() if not name.startswith(".comfy-capsule")}
    assert restore_existing(older, root, "exact", models_from=models, store=store).table.equal
    assert verify(older, root).equal
    rollback(root)
    assert whole_tree(root) == second
    assert whole_tree(root) != first


def test_what_is_inside_a_pack_comes_along(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": 0}, wheels=["alpha2"])
    own = root / "custom_nodes/tint/own"
    (own / "venv/bin").mkdir(parents=True)
    (own / "venv/bin/python").symlink_to("/usr/bin/env")
    (own / "weights.bin").write_bytes(bytes(17 << 20))
    (own / "run.sh").write_text("")
    (own / "run.sh").chmod(0o755)
    (own / "naïve name").write_text("")
    git("init", "--quiet", own / "repository", cwd=own)
    commit_all(own / "repository", "mine")
    before = {name: file for name, file in whole_tree(own).items() if name != "t.bin"}
    small.into(root, "merge")
    found = whole_tree(own)
    assert found.pop("t.bin")[1] == USED
    assert found == before
    assert (own / "run.sh").stat().st_nlink == 1  # an edit does not reach the backup
    assert git("status", "--porcelain", cwd=root / "custom_nodes/tint") == ""


def test_a_pack_with_a_submodule_is_replaced_whole(small: Small, tmp_path: Path) -> None:
    commits = [Commit(text, {"inner.py": f"{text}\n"}) for text in ("1", "2")]
    inner = build_pack(tmp_path / "origins", "inner", *commits)
    tree = tmp_path / "nested"
    git("init", "--quiet", tree, cwd=tmp_path)
    git(*LOCAL, "submodule", "add", "--quiet", inner.url, "inner", cwd=tree)
    made = []
    for commit in inner.commits:
        git("checkout", "--quiet", "--detach", commit, cwd=tree / "inner")
        made.append(commit_all(tree, commit))
    publish(tree, tmp_path / "origins/nested.git")
    nested = Published("nested", tmp_path / "origins/nested.git", tuple(made))

    def with_nested(root: Path, commit: int) -> Path:
        small.install(root, packs={"tint": -1}, wheels=["alpha2"])
        pack = clone_pack(nested, root / "custom_nodes", made[commit])
        git(*LOCAL, "submodule", "update", "--quiet", "--init", cwd=pack)
        return root

    taken = snapshot_install(as_small(with_nested(tmp_path / "source", -1)), name="w")
    files = {**small.capsule.files, **taken.files}
    packs = (*small.capsule.lock.packs, next(pack for pack in taken.lock.packs if pack.name == "nested"))
    lock = small.capsule.lock.model_copy(update={"packs": tuple(sorted(packs, key=lambda pack: pack.path))})
    capsule = replace(small.capsule, lock=lock, files=files)
    root = with_nested(tmp_path / "ComfyUI", 0)
    before = whole_tree(root)
    models, store = [small.folder / "mine"], ModelStore(tmp_path / "store")
    assert restore_existing(capsule, root, "exact", models_from=models, store=store).table.equal
    assert (root / "custom_nodes/nested/inner/inner.py").read_text() == "2\n"
    rollback(root)
    assert whole_tree(root) == before
    (root / "custom_nodes/nested/inner/inner.py").write_text("mine\n")
    with pytest.raises(Blocked, match=r"inner/inner\.py"):
        restore_existing(capsule, root, "exact", models_from=models, store=store)
