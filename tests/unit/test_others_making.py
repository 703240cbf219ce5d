"""With a yes the ComfyUI of another tool's file is booted, and its workflow gets a contract; the boot is faked here."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.installs import install_at
from comfy_capsule.packager import actions, cli
from comfy_capsule.packager.capsule import Capsule, ComfyUI, Lock, Model, Pack, Platform, read_capsule
from comfy_capsule.packager.comfy.boot import Booted
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.others import Described, making, overruled, version_findings
from comfy_capsule.packager.others.environment import python_version
from graphs import INFO, single

COMMIT = "a" * 40
HASH = "c" * 64


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where a ComfyUI was booted; it has nothing but its files."""
    places: list[Path] = []

    def fetch(_said: Described, root: Path, *_: Any) -> list[Any]:
        (root / "comfy").mkdir(parents=True)
        (root / "main.py").write_text("")
        return []

    def boot(install: Any, _report: Any) -> Booted:
        places.append(install.root)
        folders = {"upscale_models": (install.root / "models/upscale_models",)}
        return Booted(INFO, install.model_copy(update={"model_folders": folders}), ())

    monkeypatch.setattr(making, "fetch_sources", fetch)
    monkeypatch.setattr(making, "make_environment", lambda *_, **__: ())
    monkeypatch.setattr(making, "find_install", install_at)
    monkeypatch.setattr(making, "boot", boot)
    return places


def test_with_a_yes_the_marks_become_inputs_and_named_models_are_no_longer_missed(booted: list[Path]) -> None:
    ui, api = single("Sampler", {"steps": 20, "cfg": 7}, {"steps": {"name": "steps"}})
    model = Model(folder="upscale_models", name="x.safetensors", size=7, sha256=HASH)
    said = Described(form="cpack", comfyui=COMMIT, ui=ui, api=api, models=(model,))
    capsule = making.make(said, "W", trust=True)
    assert len(booted) == 1
    assert not booted[0].exists()  # what was put together is gone
    assert [each.name for each in capsule.contract.inputs] == ["steps"]
    assert capsule.lock.models == (model,)
    assert capsule.object_info.keys() == {entry["class_type"] for entry in api.values()}
    assert not any(item.code == "contract-not-made" for item in capsule.lock.findings)
    capsule.need_workflow()


def test_what_the_user_names_goes_before_the_file_and_is_said() -> None:
    assert overruled("Python", "", "3.12.7") == overruled("Python", "3.12.7", "3.12.7") == ()
    (finding,) = overruled("Python", "3.11.1", "3.12.7")
    assert "3.11.1" in finding.message
    assert "3.12.7" in finding.message


def test_a_picture_is_exported_against_a_comfyui_and_other_versions_there_are_in_the_capsule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, api = single("Sampler", {"steps": 20}, {})
    ui["nodes"][0]["properties"]["cnr_id"] = "comfy-core"
    ui["nodes"][0]["properties"]["ver"] = "0.3.40"
    (tmp_path / "w.json").write_text(json.dumps(ui))
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=ComfyUI(version="0.30.0", kind="git"))
    pylock = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
    made = Capsule(lock, pylock, ui, api, Contract(name="w"), {}, {}, sealed="f" * 64)
    monkeypatch.setattr(actions, "export", lambda *_, **__: made)
    words = ["import", str(tmp_path / "w.json"), "--comfy", str(tmp_path), "-o", str(tmp_path / "w.capsule.zip")]
    assert CliRunner().invoke(cli.command, words).exit_code == 0
    assert [item.code for item in read_capsule(tmp_path / "w.capsule.zip").lock.findings] == ["version-differs"]


def test_other_versions_than_the_workflow_notes_are_said() -> None:
    def node(**properties: str) -> dict[str, Any]:
        return {"id": 1, "type": "X", "properties": properties}

    ui = {
        "nodes": [
            node(cnr_id="comfy-core", ver="0.3.40"),
            node(cnr_id="blur", ver="1.0.0"),
            node(cnr_id="same", ver="2.0.0"),
            node(aux_id="me/tint", ver=COMMIT),
            node(aux_id="me/unknown"),
            node(cnr_id="not-here", ver="1.0.0"),
        ]
    }
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
        comfyui=ComfyUI(version="0.30.0", kind="git"),
        packs=(
            Pack(name="blur", kind="registry", registry="blur@1.2.0"),
            Pack(name="same", kind="registry", registry="same@2.0.0"),
            Pack(name="tint", kind="git", origin="https://example.com/me/tint.git", commit="b" * 40),
            Pack(name="unknown", kind="git", origin="git@example.com:me/unknown", commit="b" * 40),
        ),
    )
    found = version_findings(Described(form="workflow", ui=ui), lock)
    assert {(item.code, item.subject) for item in found} == {
        ("version-differs", subject) for subject in ("ComfyUI", "blur", "me/tint")
    }


def test_the_python_is_the_one_that_the_file_says_or_it_is_told_which_one_is_taken() -> None:
    here = platform.python_version()
    minor = here.rpartition(".")[0]
    assert python_version("3.12.7") == ("3.12.7", ())
    assert python_version(minor, "3.99.1")[0] == "3.99.1"
    assert python_version(minor, f"{minor}.99") == (f"{minor}.99", ())
    for said in ("", minor):
        version, (finding,) = python_version(said)
        assert (version, finding.code) == (here, "assumed")
        assert here in finding.message
