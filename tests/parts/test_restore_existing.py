"""Restore into ComfyUIs that are there already: merged or exact, whole or not at all, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.git import git
from bench.small import MODEL, PICTURE, USED, Origins, make_capsule, make_origins, make_small, whole_tree
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.materialise import ModelStore, installed_versions
from comfy_capsule.packager.restore import (
    ExistingPlan,
    Mode,
    RestoredExisting,
    plan_existing,
    restore_existing,
    rollback,
    verify,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def origins(shared: Path) -> Origins:
    return make_origins(shared)


@pytest.fixture(scope="module")
def capsule(shared: Path, origins: Origins) -> Capsule:
    return make_capsule(shared, origins)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UV_OFFLINE", "1")


def into(capsule: Capsule, root: Path, mode: Mode, shared: Path) -> RestoredExisting:
    store = ModelStore(root.parent / "store")
    return restore_existing(capsule, root, mode, models_from=[shared / "mine"], store=store)


def planned(capsule: Capsule, root: Path, mode: Mode, shared: Path) -> ExistingPlan:
    return plan_existing(capsule, root, mode, models_from=[shared / "mine"], store=ModelStore(root.parent / "store"))


def actions(plan: ExistingPlan, what: str = "") -> dict[str, str]:
    return {step.item: step.action for step in plan.steps if what in ("", step.what)}


def make_kind(kind: str, root: Path, origins: Origins) -> Path:
    """The five kinds of installs; all but the dirty one can be changed."""
    if kind == "clean":
        return make_small(root, origins, wheels=["alpha2"])
    if kind == "other-packs":
        make_small(root, origins, packs={"tint": 0, "other": -1}, wheels=["alpha2", "beta", "gamma", "unused"])
        (root / "custom_nodes/other/settings.ini").write_text("mine\n")
        (root / "custom_nodes/tint/settings.ini").write_text("mine\n")
        (root / "custom_nodes/single.py").write_text("")
        return root
    if kind == "dirty":
        make_small(root, origins, packs={"tint": 0, "other": -1}, wheels=["alpha2", "beta", "gamma"])
        (root / "custom_nodes/tint/__init__.py").write_text("mine = 1\n")
        return root
    if kind == "conflict":
        return make_small(root, origins, packs={"other": -1}, wheels=["alpha1", "beta", "gamma"])
    assert kind == "other-version"
    make_small(root, origins, core=0, wheels=["alpha1"], environment="venv")
    (root / "user.db").write_text("mine\n")
    (root / "comfy/cache.db").write_text("mine\n")
    (root / "models/upscale_models/sub").mkdir(parents=True)
    (root / "models/upscale_models/sub/x2.safetensors").write_bytes(b"another")
    return root


KINDS = ("clean", "other-packs", "conflict", "other-version")


@pytest.mark.parametrize("mode", ["merge", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_capsule_and_undone_it_is_as_before(
    kind: str, mode: Mode, capsule: Capsule, origins: Origins, tmp_path: Path, shared: Path
) -> None:
    root = make_kind(kind, tmp_path / "ComfyUI", origins)
    before = whole_tree(root)
    plan = planned(capsule, root, mode, shared)
    assert whole_tree(root) == before
    if (kind, mode) == ("conflict", "merge"):
        with pytest.raises(CapsuleError) as caught:
            into(capsule, root, mode, shared)
        assert (caught.value.code, caught.value.exit_status) == ("python-conflict", 3)
        assert "other needs alpha<2: 1.0 is here, the capsule pins 2.0" in caught.value.message
        assert [finding.code for finding in plan.against] == ["python-conflict"]
        assert whole_tree(root) == before
        return
    assert plan.against == ()
    done = into(capsule, root, mode, shared)
    assert done.table.equal, done.table.differing
    assert [row.kind for row in done.table.rows if row.kind == "digest"] == ["digest"]
    assert done.changes == plan.steps
    assert (root / "models/upscale_models/sub/x2.safetensors").read_bytes() == MODEL
    assert (root / "input/a.png").read_bytes() == PICTURE
    assert (root / "custom_nodes/tint/own/t.bin").read_bytes() == USED
    assert (root / ".capsule-cache/huggingface/hub/x.bin").read_bytes() == USED
    assert git("status", "--porcelain", cwd=root) == ""
    alone = {(row.kind, row.subject) for row in verify(capsule, root).differing}
    assert alone == BESIDE.get((kind, mode), set())
    ended = rollback(root)
    assert (ended.how, ended.capsule) == ("rolled-back", capsule.digests.id)
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
