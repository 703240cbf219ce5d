"""Export from a real ComfyUI: from its folder, from inside it, from one of its pictures; twice the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bench import PLAIN, UPSCALE, RunningComfy, bench_install, fresh_install, running
from browser.packs import clone_ourselves, install_requirements, publish_ourselves
from comfy_capsule.packager.capsule import read_capsule

COMMAND = Path(sys.executable).with_name("comfy-capsule")


def comfy_capsule(*words: object) -> tuple[int, dict[str, Any]]:
    """(exit status, answer) of ``comfy-capsule WORDS --json``."""
    done = subprocess.run([COMMAND, *map(str, words), "--json"], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def export(
    comfy: object, out: Path, workflow: Path = UPSCALE.ui_path, api: Path | None = UPSCALE.api_path, *more: object
) -> Any:
    given = ("--api", api) if api else ()
    return comfy_capsule("export", "--comfy", comfy, "--workflow", workflow, *given, "-o", out, "--name", "w", *more)


@pytest.fixture(scope="module")
def with_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ComfyUI with our pack in it, installed as the README says."""
    folder = tmp_path_factory.mktemp("with-pack")
    install = fresh_install(folder / "ComfyUI")
    clone_ourselves(publish_ourselves(folder), install)
    install_requirements(install)
    return install


@pytest.fixture(scope="module")
def live(with_pack: Path) -> Iterator[RunningComfy]:
    with running(with_pack) as comfy:
        yield comfy


def test_the_same_state_twice_is_the_same_file(tmp_path: Path) -> None:
    before = sorted(bench_install().rglob("*"))
    answers = [export(bench_install(), tmp_path / name) for name in ("a.capsule.zip", "b.capsule.zip")]
    assert [status for status, _ in answers] == [0, 0]
    assert answers[0][1]["id"] == answers[1][1]["id"]
    assert (tmp_path / "a.capsule.zip").read_bytes() == (tmp_path / "b.capsule.zip").read_bytes()
    assert sorted(bench_install().rglob("*")) == before


def test_a_capsule_holds_what_the_install_is(tmp_path: Path) -> None:
    export(bench_install(), tmp_path / "w.capsule.zip")
    capsule = read_capsule(tmp_path / "w.capsule.zip")
    packs = {pack.name: pack for pack in capsule.lock.packs}
    assert [name for name, pack in packs.items() if pack.used] == ["bench-tint"]
    assert packs["bench-tint"].classes
    assert [model.name for model in capsule.lock.models] == ["bench-x2.safetensors"]
    assert [item.name for item in capsule.contract.inputs] == ["picture", "strength", "levels"]
    assert {finding.code for finding in capsule.lock.findings} == {"local-origin", "model-without-source"}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=bench_install(), capture_output=True, text=True, check=True)
    assert capsule.lock.comfyui.commit == head.stdout.strip()


def test_from_inside_and_from_the_folder_give_the_same_capsule(
    live: RunningComfy, with_pack: Path, tmp_path: Path
) -> None:
    (with_pack / "input" / "bench-picture.png").unlink()  # the running one has an input folder of its own
    status, answer = export(live.base_url, tmp_path / "inside.capsule.zip", PLAIN.ui_path, PLAIN.api_path)
    assert status == 0, answer
    assert export(with_pack, tmp_path / "folder.capsule.zip", PLAIN.ui_path, PLAIN.api_path)[0] == 0
    inside, folder = (read_capsule(tmp_path / f"{name}.capsule.zip") for name in ("inside", "folder"))
    seen = inside.lock.observed  # only the running one can say how it was started
    assert "--cpu" in seen.arguments
    assert any(name.startswith("sm_") for name in seen.torch_arch_list)
    assert inside.lock.model_copy(update={"observed": folder.lock.observed}) == folder.lock
    assert inside.digests.environment == folder.digests.environment
    assert inside.digests.contract == folder.digests.contract
    next_one, before = tmp_path / "next.capsule.zip", tmp_path / "inside.capsule.zip"
    status, answer = export(live.base_url, next_one, UPSCALE.ui_path, UPSCALE.api_path, "--parent", before)
    assert (status, answer["lock"]["parent"]) == (0, inside.digests.id)
    assert answer["contract_difference"]["verdict"] == "widened"  # its output is there still
    assert read_capsule(next_one).digests.id == answer["id"]
    status, said = comfy_capsule("contract", "diff", before, next_one)
    assert (status, said) == (0, answer["contract_difference"])
    assert comfy_capsule("contract", "diff", next_one, before)[0] == 1


def test_what_is_exported_from_inside_is_kept(live: RunningComfy, tmp_path: Path) -> None:
    out = tmp_path / "kept.capsule.zip"
    status, answer = export(live.base_url, out, PLAIN.ui_path, PLAIN.api_path, "--message", "to be kept")
    assert status == 0, answer
    address = f"{live.base_url}/capsule/versions/w"
    newest = requests.get(address, timeout=30).json()["versions"][0]
    assert (newest["id"], newest["message"]) == (answer["id"], "to be kept")
    assert requests.get(f"{address}/{newest['commit']}/workflow", timeout=30).json() == PLAIN.ui
    assert requests.get(f"{address}/{newest['commit']}/capsule", timeout=30).content == out.read_bytes()
    folder = live.process.user_dir / "__capsule" / "default"
    status, said = comfy_capsule("versions", "list", "w", "--dir", folder)  # the command reads it alone
    assert (status, said[0]["id"]) == (0, answer["id"])
    theirs = requests.get(f"{live.base_url}/userdata/..%2F__capsule%2Fdefault%2Fw.git%2FHEAD", timeout=30)
    assert theirs.status_code in (403, 404)  # out of reach of ComfyUI's own routes


def test_snapshot_from_inside_and_from_the_folder(live: RunningComfy, with_pack: Path, tmp_path: Path) -> None:
    status, inside = comfy_capsule("snapshot", "--comfy", live.base_url)
    assert status == 0, inside
    status, booted = comfy_capsule("snapshot", "--comfy", with_pack, "--boot", "-o", tmp_path / "lock")
    assert status == 0
    assert inside["lock"].pop("observed") != booted["lock"].pop("observed")
    assert inside == booted
    written = {path.name for path in (tmp_path / "lock").iterdir()}
    assert written == {"capsule.toml", "pylock.toml", "comfyui.bundle", "packs"}


def test_a_picture_made_by_comfyui_is_a_workflow(tmp_path: Path) -> None:
    with running(bench_install()) as comfy:
        body = {"prompt": PLAIN.api, "extra_data": {"extra_pnginfo": {"workflow": PLAIN.ui}}}
        prompt_id = requests.post(f"{comfy.base_url}/prompt", json=body, timeout=30).json()["prompt_id"]
        while not (history := requests.get(f"{comfy.base_url}/history/{prompt_id}", timeout=30).json()):
            pass
        image = next(iter(history[prompt_id]["outputs"].values()))["images"][0]
        data = requests.get(f"{comfy.base_url}/view", params=image, timeout=30).content
    (tmp_path / "picture.png").write_bytes(data)
    status, answer = export(bench_install(), tmp_path / "w.capsule.zip", tmp_path / "picture.png", None)
    assert status == 0, answer
    capsule = read_capsule(tmp_path / "w.capsule.zip")
    assert capsule.graph == PLAIN.api
    assert capsule.workflow == PLAIN.ui


def test_a_graph_with_a_missing_class_or_a_mark_that_is_gone_is_refused(tmp_path: Path) -> None:
    api, ui = PLAIN.api, PLAIN.ui
    node = next(node for node in ui["nodes"] if node.get("properties", {}).get("capsule", {}).get("inputs"))
    api[str(node["id"])]["class_type"] = "NoSuchNode"
    (tmp_path / "api.json").write_text(json.dumps(api))
    status, answer = export(bench_install(), tmp_path / "w.zip", PLAIN.ui_path, tmp_path / "api.json")
    assert (status, answer["error"]["code"]) == (2, "class-missing")
    assert "NoSuchNode" in answer["error"]["message"]
    node["properties"]["capsule"]["inputs"]["gone_widget"] = {"name": "gone"}
    (tmp_path / "ui.json").write_text(json.dumps(ui))
    status, answer = export(bench_install(), tmp_path / "w.zip", tmp_path / "ui.json", PLAIN.api_path)
    assert (status, answer["error"]["code"]) == (2, "mark-without-target")
    assert "gone_widget" in answer["error"]["message"]
    assert not (tmp_path / "w.zip").exists()


def test_a_comfyui_without_the_pack_says_so(tmp_path: Path) -> None:
    with running(bench_install()) as comfy:
        status, answer = export(comfy.base_url, tmp_path / "w.zip")
    assert (status, answer["error"]["code"]) == (2, "pack-not-installed")


def test_strict_stops_at_what_blocks(with_pack: Path, tmp_path: Path) -> None:
    asked = ("snapshot", "--comfy", with_pack, "--strict")
    assert comfy_capsule(*asked)[0] == 0  # what is there now is carried
    (with_pack / "custom_nodes/bad:name").mkdir()
    try:
        status, said = comfy_capsule(*asked)
        assert status == 3
        assert [item["code"] for item in said["lock"]["findings"] if item["blocks"]] == ["pack-unsafe-name"]
        out = tmp_path / "w.capsule.zip"
        status, said = export(with_pack, out, PLAIN.ui_path, PLAIN.api_path, "--strict")
        assert (status, said["error"]["code"]) == (3, "findings-block")
        assert not out.exists()
    finally:
        (with_pack / "custom_nodes/bad:name").rmdir()


def test_a_snapshot_of_the_used_packs_has_no_other(tmp_path: Path) -> None:
    asked = ("snapshot", "--comfy", bench_install(), "--workflow", UPSCALE.ui_path, "--api", UPSCALE.api_path)
    status, said = comfy_capsule(*asked, "--packs", "used", "-o", tmp_path / "lock")
    assert (status, [pack["name"] for pack in said["lock"]["packs"]]) == (0, ["bench-tint"])
    assert {item["subject"] for item in said["lock"]["findings"]} <= {"ComfyUI", "bench-tint", "bench-x2.safetensors"}
    assert {path.name for path in (tmp_path / "lock/packs").iterdir()} == {"bench-tint.bundle"}
