"""Restore into existing ComfyUIs: what stands against it is told before anything changes; what fails is put back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.git import commit_all, git
from bench.packs import clone_pack
from bench.small import MODEL, Small, whole_tree
from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import SUFFIX, write_capsule
from comfy_capsule.packager.errors import BadInput, Blocked, CapsuleError
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.restore import (
    Mode,
    restore_existing,
    resume,
    rollback,
)


def dirty(root: Path, how: str) -> None:
    """Somebody's own work in the pack tint, or in ComfyUI."""
    tint = root / "custom_nodes/tint"
    if how == "changed":
        (tint / "__init__.py").write_text("mine = 1\n")
    elif how == "new":
        (tint / "mine.py").write_text("")
    elif how == "staged":
        (tint / "mine.py").write_text("")
        git("add", "mine.py", cwd=tint)
    elif how == "secret":
        (tint / ".env").write_text("KEY=1\n")
    elif how == "repository":
        git("init", "--quiet", tint / "mine", cwd=tint)
        commit_all(tint / "mine", "mine")
    elif how == "commit":
        git("checkout", "--quiet", "-b", "mine", cwd=tint)
        git("commit", "--quiet", "--allow-empty", "-m", "mine", cwd=tint)
        git("checkout", "--quiet", "--detach", "HEAD~1", cwd=tint)
    elif how == "stash":
        (tint / "__init__.py").write_text("mine = 1\n")
        git("stash", "--quiet", cwd=tint)
    elif how == "broken":
        (tint / ".git/HEAD").write_text("nonsense\n")
    elif how == "core":
        git("checkout", "--quiet", "--detach", "HEAD~1", cwd=root)
        (root / "nodes.py").write_text("mine = 1\n")
    else:
        assert how == "worktree"
        shutil.rmtree(tint)
        git("clone", "--quiet", root.parent / "origins/tint.git", root.parent / "away", cwd=root)
        git("worktree", "add", "--quiet", "--detach", tint, "HEAD~1", cwd=root.parent / "away")


@pytest.mark.parametrize(
    ("mode", "how", "code"),
    [
        *(("merge", how, "dirty-tree") for how in ("changed", "new", "staged", "secret", "repository", "core")),
        *(("merge", "commit", "local-commits"), ("merge", "stash", "local-commits")),
        *(("merge", "worktree", "checkout-elsewhere"), ("merge", "broken", "checkout-unreadable")),
        *(("exact", "changed", "dirty-tree"), ("exact", "core", "dirty-tree")),
    ],
)
def test_ones_own_work_is_never_touched(how: str, code: str, mode: Mode, small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": 0}, wheels=["alpha2"])
    (tmp_path / "origins").symlink_to(small.origins.tint.origin.parent)
    dirty(root, how)
    before = whole_tree(root)
    plan = small.plan(root, mode)
    assert [finding.code for finding in plan.against] == [code]
    with pytest.raises(Blocked) as caught:
        small.into(root, mode)
    assert caught.value.code == code
    assert caught.value.cure
    assert ("ComfyUI" if how == "core" else "tint") in caught.value.message
    assert whole_tree(root) == before


def test_a_dirty_pack_is_let_be_where_nothing_of_it_changes(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"other": -1}, wheels=["alpha2"])
    (root / "custom_nodes/other/mine.py").write_text("")
    assert small.into(root, "merge").table.equal
    assert (root / "custom_nodes/other/mine.py").is_file()
    rollback(root)
    with pytest.raises(Blocked) as caught:
        small.into(root, "exact")
    assert caught.value.code == "dirty-tree"


def test_work_that_begins_while_the_new_is_built_is_seen(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": 0}, wheels=["alpha1"])

    def edit(progress: Progress) -> None:
        if progress.phase == "python":
            (root / "custom_nodes/tint/__init__.py").write_text("mine = 1\n")

    with pytest.raises(Blocked) as caught:
        small.into(root, "merge", edit)
    assert caught.value.code == "dirty-tree"
    assert not (root / ".comfy-capsule").exists()


def test_several_things_in_the_way_are_all_told(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": 0, "other": -1}, wheels=["alpha1"])
    dirty(root, "changed")
    with pytest.raises(Blocked, match=r"other needs alpha<2.*tint has local changes") as caught:
        small.into(root, "merge")
    assert caught.value.code == "findings-block"


def test_a_linked_pack_keeps_its_link_and_what_it_leads_to(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", wheels=["alpha2"])
    mine = clone_pack(small.origins.tint, tmp_path, small.origins.tint.commits[0])
    (mine / "mine.py").write_text("")
    (root / "custom_nodes/tint").symlink_to("../../tint")
    seen = whole_tree(mine)
    small.into(root, "exact")
    assert os.readlink(root / "custom_nodes/tint.disabled") == "../../tint"
    assert not (root / "custom_nodes/tint").is_symlink()
    assert whole_tree(mine) == seen


def test_a_folder_that_leads_away_is_not_written_into(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": -1}, wheels=["alpha2"])
    (root / "models").rmdir()
    (tmp_path / "disk").mkdir()
    (root / "models").symlink_to(tmp_path / "disk")
    with pytest.raises(Blocked, match=str(tmp_path / "disk")) as caught:
        small.into(root, "merge")
    assert caught.value.code == "place-elsewhere"
    (tmp_path / "disk/upscale_models/sub").mkdir(parents=True)
    (tmp_path / "disk/upscale_models/sub/x2.safetensors").write_bytes(MODEL)
    assert small.into(root, "merge").table.equal


@pytest.mark.parametrize("how", ["none", "linked"])
def test_a_python_outside_is_not_changed(how: str, small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", wheels=["alpha1"])
    (root / ".venv").rename(tmp_path / "elsewhere")
    if how == "linked":
        (root / ".venv").symlink_to(tmp_path / "elsewhere")
    before = whole_tree(root), whole_tree(tmp_path / "elsewhere")
    with pytest.raises(Blocked) as caught:
        small.into(root, "exact")
    assert caught.value.code == "python-outside"
    assert "uv venv" in caught.value.cure
    assert (whole_tree(root), whole_tree(tmp_path / "elsewhere")) == before


def test_what_runs_is_not_changed(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", wheels=["alpha2"])
    (root / "main.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, "main.py", "--cpu"], cwd=root, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"up\n"
            with pytest.raises(BadInput, match=str(running.pid)) as caught:
                small.into(root, "merge")
            assert caught.value.code == "comfyui-running"
        finally:
            running.kill()


def test_a_second_restore_prunes_the_first_and_undoes_only_itself(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    first = small.into(root, "merge")
    assert first.backup > 0
    middle = whole_tree(root)
    nothing = small.into(root, "merge")
    assert {change.action for change in nothing.changes} == {"keep", "check"}
    assert whole_tree(root) == middle  # the first can still be undone
    (root / "input/a.png").unlink()
    (root / "models/upscale_models/sub/x2.safetensors").unlink()
    cut = whole_tree(root)
    assert small.plan(root, "exact").backup == first.backup
    small.into(root, "exact")
    assert os.listdir(root / ".comfy-capsule/restore/old") == []
    rollback(root)
    assert {n: f for n, f in whole_tree(root).items() if not n.startswith(".comfy-capsule")} == {
        n: f for n, f in cut.items() if not n.startswith(".comfy-capsule")
    }
    for call in (rollback, resume):
        with pytest.raises(BadInput) as caught:
            call(root)
        assert caught.value.code in ("nothing-to-roll-back", "nothing-to-resume")


def test_work_in_what_was_restored_is_not_taken_away(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    before = whole_tree(root)
    small.into(root, "merge")
    after = whole_tree(root)
    for name in ("custom_nodes/tint/__init__.py", "custom_nodes/plain/__init__.py", "nodes.py"):
        text = (root / name).read_text()
        (root / name).write_text("mine = 1\n")
        with pytest.raises(Blocked, match=str((root / name).parent)) as caught:
            rollback(root)
        assert caught.value.code == "changed-since"
        (root / name).write_text(text)
    assert whole_tree(root) == after
    shutil.rmtree(root / "custom_nodes/plain")  # what it brought may be gone
    (root / "input/a.png").unlink()
    rollback(root)
    assert whole_tree(root) == before


def test_what_cannot_be_undone_whole_is_not_begun(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    small.into(root, "merge")
    aside = root / "models/upscale_models/sub/x2.safetensors.disabled"
    aside.rename(tmp_path / "away")
    after = whole_tree(root)
    with pytest.raises(CapsuleError, match="is gone") as caught:
        rollback(root)
    assert caught.value.code == "target-changed"
    (root / "web").mkdir()
    (tmp_path / "away").rename(aside)
    with pytest.raises(CapsuleError, match="web stands in the way"):
        rollback(root)
    aside.rename(tmp_path / "away")
    (root / "web").rmdir()
    assert whole_tree(root) == after


def test_a_link_where_restores_are_kept_is_not_followed(small: Small, tmp_path: Path) -> None:
    root = small.kind("clean", tmp_path / "ComfyUI")
    (tmp_path / "mine/building").mkdir(parents=True)
    (root / ".comfy-capsule").symlink_to(tmp_path / "mine")
    for call in (lambda: small.into(root, "merge"), lambda: resume(root), lambda: rollback(root)):
        with pytest.raises(BadInput) as caught:
            call()
        assert caught.value.code == "place-elsewhere"
    assert (tmp_path / "mine/building").is_dir()


def test_two_at_once_are_refused(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", wheels=["alpha2"])
    seen: list[str] = []

    def again(progress: Progress) -> None:
        if not seen and progress.phase == "models":
            for call in (lambda: small.into(root, "merge"), lambda: resume(root), lambda: rollback(root)):
                with pytest.raises(BadInput) as caught:
                    call()
                seen.append(caught.value.code)

    assert small.into(root, "merge", again).table.equal
    assert seen == ["restore-running"] * 3


def test_an_origin_that_is_gone_leaves_it_as_it_was(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    before = whole_tree(root)
    tint = {"origin": (tmp_path / "nowhere").as_uri(), "bundle": ""}
    packs = [pack.model_copy(update=tint) if pack.name == "tint" else pack for pack in small.capsule.lock.packs]
    capsule = replace(small.capsule, lock=small.capsule.lock.model_copy(update={"packs": tuple(packs)}))
    with pytest.raises(CapsuleError, match="nowhere") as caught:
        restore_existing(capsule, root, "merge", store=ModelStore(tmp_path / "store"))
    assert caught.value.code == "origin-gone"
    assert whole_tree(root) == before


@pytest.mark.parametrize("name", ["custom_nodes/other/evil.py", "custom_nodes/evil.py", ".comfy-capsule/x", ".venv/x"])
def test_a_capsule_puts_no_file_where_it_has_no_business(name: str, small: Small, tmp_path: Path) -> None:
    root = small.kind("other-packs", tmp_path / "ComfyUI")
    before = whole_tree(root)
    file = small.capsule.lock.files[0].model_copy(update={"name": name})
    capsule = replace(small.capsule, lock=small.capsule.lock.model_copy(update={"files": (file,)}))
    with pytest.raises(BadInput) as caught:
        restore_existing(capsule, root, "merge", store=ModelStore(tmp_path / "store"))
    assert caught.value.code == "capsule-unsafe-name"
    assert whole_tree(root) == before


def test_what_cannot_be_renamed_is_put_back(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    before = whole_tree(root)

    def meddle(progress: Progress) -> None:
        if progress.phase == "apply" and progress.done == progress.total:
            (root / "start-comfyui.sh").write_text("mine\n")

    with pytest.raises(CapsuleError) as caught:
        small.into(root, "merge", meddle)
    assert caught.value.code == "target-changed"
    (root / "start-comfyui.sh").unlink()
    assert whole_tree(root) == before


def test_what_is_not_the_capsule_after_all_is_put_back(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    before = whole_tree(root)

    def meddle(progress: Progress) -> None:
        if progress.phase == "apply" and progress.done == progress.total:
            (root / "app/__init__.py").write_text("other\n")

    with pytest.raises(CapsuleError, match="comfyui tree") as caught:
        small.into(root, "merge", meddle)
    assert caught.value.code == "restore-differs"
    assert whole_tree(root) == before


def test_a_missing_model_leaves_it_as_it_was(small: Small, tmp_path: Path) -> None:
    root = small.kind("other-version", tmp_path / "ComfyUI")
    before = whole_tree(root)
    with pytest.raises(CapsuleError, match="--models-from") as caught:
        restore_existing(small.capsule, root, "merge", store=ModelStore(tmp_path / "store"))
    assert caught.value.code == "model-missing"
    assert whole_tree(root) == before


def test_a_core_without_git_is_not_guessed_at(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", core=0, wheels=["alpha2"])
    shutil.rmtree(root / ".git")
    with pytest.raises(Blocked) as caught:
        small.into(root, "merge")
    assert caught.value.code == "core-no-checkout"


def test_a_pack_that_the_capsule_has_disabled_is_disabled(small: Small, tmp_path: Path) -> None:
    root = small.install(tmp_path / "ComfyUI", packs={"tint": -1}, wheels=["alpha2"])
    (root / "custom_nodes/off").mkdir()
    (root / "custom_nodes/off/__init__.py").write_text("mine = 1\n")
    assert small.into(root, "merge").table.equal
    found = {path.name: path for path in (root / "custom_nodes").glob("off*")}
    assert {name: (path / "__init__.py").read_text() for name, path in found.items()} == {
        "off.disabled": "off = 1\n",
        "off.2.disabled": "mine = 1\n",
    }


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``comfy-capsule WORDS`` in this process: its exit status, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["comfy-capsule", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_the_command_plans_restores_and_undoes(
    command: Callable[..., tuple[int, str, str]], small: Small, tmp_path: Path
) -> None:
    file = tmp_path / f"w{SUFFIX}"
    write_capsule(small.capsule, file)
    root = small.kind("dirty", tmp_path / "ComfyUI")
    words = ("restore", file, "--into", root, "--models-from", small.folder / "mine")
    assert "--existing merge" in command(*words)[2]
    status, out, _ = command(*words, "--existing", "merge", "--dry-run", "--json")
    assert status == 3
    assert [item["code"] for item in json.loads(out)["against"]] == ["dirty-tree"]
    status, out, err = command(*words, "--existing", "merge")
    assert (status, out) == (3, "")
    assert "error (dirty-tree)" in err
    git("checkout", "--quiet", "--", ".", cwd=root / "custom_nodes/tint")
    before = whole_tree(root)
    status, out, err = command(*words, "--existing", "merge", "--dry-run")
    assert (status, err) == (0, "plan …\nverify …\n")
    assert whole_tree(root) == before
    status, out, err = command(*words, "--existing", "merge", "--json")
    assert status == 0, err
    assert json.loads(out)["table"]["equal"]
    assert [change["action"] for change in json.loads(out)["changes"] if change["item"] == "tint"] == ["change"]
    status, out, _ = command("restore", "--rollback", root)
    assert (status, out.split()[0]) == (0, "undone")
    assert whole_tree(root) == before
    assert command("restore", "--resume", root)[0] == 2
    for odd in ((), (file,), ("--into", root), ("--rollback", root, *words[1:4])):
        assert "bad-usage" in command("restore", *odd)[2]
