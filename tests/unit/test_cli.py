"""The command: one clear sentence and the right exit status for bad input, and nothing left half-written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import UPSCALE
from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import Capsule, ComfyUI, Finding, Lock, Platform, write_capsule
from comfy_capsule.packager.capsule.archive import read_archive, write_archive
from comfy_capsule.packager.contract import Contract, Input, Output, Target


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    """A small whole capsule, as a file."""
    graph = {"1": {"class_type": "Draw", "inputs": {"width": 8}}}
    contract = Contract(
        name="w",
        inputs=(Input(name="width", type="integer", default=8, targets=(Target(node="1", input="width"),)),),
        outputs=(Output(name="image", type="image", nodes=("1",)),),
    )
    blocking = Finding(code="no-origin", subject="p", message="p has no remote.", cure="Push it.", blocks=True)
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
        comfyui=ComfyUI(version="0.30.0", kind="git", origin="https://example.com/c.git", commit="0" * 40),
        findings=(blocking,),
    )
    pylock = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
    made = Capsule(
        lock=lock, pylock=pylock, workflow={"nodes": []}, graph=graph, contract=contract, object_info={}, files={}
    )
    write_capsule(made, tmp_path / "w.capsule.zip")
    return tmp_path / "w.capsule.zip"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """(exit status, standard output, standard error) of ``comfy-capsule WORDS``."""
    monkeypatch.setattr(sys, "argv", ["comfy-capsule", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def comfy_capsule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process."""
    return lambda *words: run(monkeypatch, capsys, *words)


def test_inspect_and_contract_of_a_capsule(comfy_capsule: Any, capsule: Path) -> None:
    status, out, _ = comfy_capsule("inspect", capsule)
    assert status == 0
    assert "width: integer" in out
    assert "p has no remote. Push it. [no-origin]" in out
    status, out, _ = comfy_capsule("inspect", capsule, "--json")
    assert json.loads(out)["lock"]["comfyui"]["commit"] == "0" * 40
    status, out, _ = comfy_capsule("contract", capsule)
    assert json.loads(out)["properties"]["width"]["type"] == "integer"
    status, out, _ = comfy_capsule("contract", capsule, "--openapi")
    assert json.loads(out)["openapi"].startswith("3.1")
    assert comfy_capsule("contract", "show", capsule)[0] == 0
    status, out, _ = comfy_capsule("contract", "diff", capsule, capsule)
    assert (status, out) == (0, "compatible: every call means what it meant.\n")


EXPORT = ("export", "--workflow", UPSCALE.ui_path, "--api", UPSCALE.api_path)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("inspect", "nowhere.zip"), "capsule-not-found"),
        (("inspect", __file__), "capsule-unreadable"),
        (("contract", __file__), "capsule-unreadable"),
        (("snapshot", "--comfy", "{tmp}"), "no-comfyui"),
        (("snapshot", "--comfy", "{tmp}/nowhere"), "no-comfyui"),
        (("snapshot", "--comfy", "http://127.0.0.1:1"), "comfyui-unreachable"),
        ((*EXPORT, "--comfy", "{tmp}", "-o", "{tmp}/x.capsule.zip"), "no-comfyui"),
        ((*EXPORT, "--comfy", "http://127.0.0.1:1", "-o", "{tmp}/x.capsule.zip"), "comfyui-unreachable"),
        ((*EXPORT, "--comfy", "{tmp}", "-o", "{tmp}/x.capsule.zip", "--name", "…"), "bad-name"),
        (("export", "--workflow", UPSCALE.ui_path, "--comfy", "{tmp}", "-o", "{tmp}/x.zip"), "api-graph-missing"),
        (("export", "--workflow", UPSCALE.api_path, "--comfy", "{tmp}", "-o", "{tmp}/x.zip"), "ui-graph-missing"),
        (("export", "--workflow", __file__, "--comfy", "{tmp}", "-o", "{tmp}/x.zip"), "not-a-workflow"),
        (("export", "--workflow", "{tmp}/no.json", "--comfy", "{tmp}", "-o", "{tmp}/x.zip"), "no-such-file"),
        (("build", "nowhere.zip", "-t", "x"), "capsule-not-found"),
        (("build", "nowhere.zip"), "bad-usage"),
        (("build", "nowhere.zip", "-t", "x", "--context-only", "{tmp}/c"), "bad-usage"),
        (("restore", "nowhere.zip", "--into", "{tmp}/r"), "capsule-not-found"),
        (("verify", "nowhere.zip", "--comfy", "{tmp}"), "capsule-not-found"),
        (("serve", "nowhere.zip", "--comfy", "{tmp}"), "capsule-not-found"),
        (("frobnicate",), "bad-usage"),
        (("snapshot", "--comfy", "{tmp}", "--trace"), "no-workflow"),
        ((*EXPORT, "--comfy", "http://127.0.0.1:1", "-o", "{tmp}/x.capsule.zip", "--trace"), "no-trace-there"),
        ((*EXPORT, "--comfy", "{tmp}", "-o", "{tmp}/x", "--parent", "nowhere.zip"), "capsule-not-found"),
        (("export",), "bad-usage"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(
    comfy_capsule: Any, tmp_path: Path, words: tuple[object, ...], code: str
) -> None:
    given = [str(word).replace("{tmp}", str(tmp_path)) for word in words]
    status, out, err = comfy_capsule(*given)
    assert (status, out) == (2, "")
    assert err.startswith(f"error ({code}): ")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_errors_are_json_when_asked(comfy_capsule: Any) -> None:
    status, out, err = comfy_capsule("inspect", "nowhere.zip", "--json")
    assert status == 2
    assert json.loads(out)["error"]["code"] == "capsule-not-found"
    assert err == ""


@pytest.mark.parametrize("entry", ["capsule.toml", "contract.json", "workflow.api.json", "pylock.toml"])
def test_a_capsule_whose_entry_is_not_what_it_should_be(comfy_capsule: Any, capsule: Path, entry: str) -> None:
    entries, _ = read_archive(capsule)
    for content in (b"\xff\xfe", b"[]", b'{"format": "1.0"}', b""):
        write_archive(capsule, {**entries, entry: content})
        status, out, err = comfy_capsule("inspect", capsule)
        assert (status, out) == (2, "")
        assert "capsule-damaged" in err
    write_archive(capsule, {name: data for name, data in entries.items() if name != entry})
    assert comfy_capsule("inspect", capsule)[0] == 2


def test_a_newer_major_format_is_refused(comfy_capsule: Any, capsule: Path) -> None:
    entries, _ = read_archive(capsule)
    newer = entries["capsule.toml"].replace(b'format = "1.0"', b'format = "2.0"')
    write_archive(capsule, {**entries, "capsule.toml": newer})
    status, _, err = comfy_capsule("inspect", capsule)
    assert status == 2
    assert "capsule-too-new" in err


def test_reading_and_writing_a_capsule_again_gives_the_same_bytes(capsule: Path, tmp_path: Path) -> None:
    from comfy_capsule.packager.capsule import read_capsule

    read = read_capsule(capsule)
    assert write_capsule(read, tmp_path / "again.zip") == read.digests.capsule
    assert (tmp_path / "again.zip").read_bytes() == capsule.read_bytes()
