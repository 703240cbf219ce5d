"""A stranger's capsule, an odd workflow, a path that cannot be used: a sentence, and nothing outside its folder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from comfy_capsule.packager import cli, terminal
from comfy_capsule.packager.capsule import Capsule, ComfyUI, Lock, Model, Pack, Platform, read_capsule, write_capsule
from comfy_capsule.packager.command import without_credentials
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.image.plan import make_plan
from comfy_capsule.packager.materialise import place
from comfy_capsule.packager.materialise.sources import refuse_sources
from comfy_capsule.packager.remote import snapshot_remote
from comfy_capsule.packager.restore.apply import write_start_script
from comfy_capsule.packager.snapshot.models.origins import declared_sources
from comfy_capsule.packager.snapshot.trees.checkout import read_checkout
from comfy_capsule.packager.workflow import read_workflow_file

PYLOCK = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'


def capsule_of(
    name: str = "w",
    python: str = "3.11.7",
    pylock: str = PYLOCK,
    contract: str = "",
    models: tuple[Model, ...] = (),
    packs: tuple[Pack, ...] = (),
) -> Capsule:
    lock = Lock(
        name=name,
        platform=Platform(os="linux", arch="x86_64", python=python),
        comfyui=ComfyUI(version="0.30.0", kind="git", origin="file:///c", commit="0" * 40),
        models=models,
        packs=packs,
    )
    graph = {"1": {"class_type": "Draw", "inputs": {}}}
    return Capsule(lock, pylock, {"nodes": []}, graph, Contract(name=contract or name), {}, {})


@pytest.mark.parametrize(
    "hostile",
    [
        capsule_of(name="../../evil"),
        capsule_of(name="a\nRUN evil"),
        capsule_of(name="w", contract="other"),
        capsule_of(python='3.11.7"\nRUN evil'),
        capsule_of(python="x"),
        capsule_of(pylock=PYLOCK + "[tool.comfy-capsule]\nunproved = 3\n"),
        capsule_of(pylock=PYLOCK + '[tool]\ncomfy-capsule = "x"\n'),
    ],
)
def test_names_that_would_lead_out_of_a_file_are_refused_when_read(tmp_path: Path, hostile: Capsule) -> None:
    write_capsule(hostile, tmp_path / "w.capsule.zip")
    with pytest.raises(BadInput) as caught:
        read_capsule(tmp_path / "w.capsule.zip")
    assert caught.value.code == "capsule-damaged"


def test_a_model_that_would_overwrite_a_file_of_the_image_is_refused() -> None:
    model = Model(folder="../../usr/local/bin", name="comfy-capsule", size=1, sha256="0" * 64)
    with pytest.raises(BadInput) as caught:
        make_plan(capsule_of(models=(model,)))
    assert caught.value.code == "capsule-unsafe-name"


def test_two_packs_for_one_folder_are_refused_and_a_disabled_twin_is_none() -> None:
    pack = Pack(name="p", kind="git", origin="file:///p", commit="0" * 40)
    with pytest.raises(BadInput) as caught:
        refuse_sources(capsule_of(), (pack, pack))
    assert caught.value.code == "pack-twice"
    refuse_sources(capsule_of(), (pack, Pack(name="p", enabled=False, kind="git", origin="file:///p", commit="0" * 40)))


def test_nothing_is_written_through_a_link_that_a_checkout_brings(tmp_path: Path) -> None:
    own = tmp_path / "bashrc"
    own.write_text("mine")
    comfyui = tmp_path / "ComfyUI"
    (comfyui / ".git").mkdir(parents=True)
    (comfyui / "run.sh").write_text("theirs")
    (comfyui / "start-comfyui.sh").symlink_to(own)
    (comfyui / ".venv").symlink_to(tmp_path / "outside")
    assert write_start_script(comfyui) == comfyui / "start-comfyui.sh"
    assert own.read_text() == "mine"
    assert not place(comfyui, ".venv").is_symlink()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://user:p@ss@host/x.git", "https://host/x.git"),
        ("https://token@host/x.git", "https://host/x.git"),
        ("https://host/x?to=a@b", "https://host/x?to=a@b"),
        ("https://host/@scope/x", "https://host/@scope/x"),
    ],
)
def test_no_part_of_a_password_is_kept(given: str, kept: str) -> None:
    assert without_credentials(given) == kept


def test_addresses_of_models_lose_credentials_and_odd_nodes_are_passed_over() -> None:
    said = [{"url": "https://u:pw@host/m", "directory": "vae", "name": "m"}]
    odd = [None, 3, {"properties": "x"}, {"properties": {"models": "x"}}, {"properties": {"models": said}}]
    found = declared_sources({"nodes": odd, "definitions": {"subgraphs": [None]}})
    assert {key: [each.url for each in said] for key, said in found.items()} == {("vae", "m"): ["https://host/m"]}
    assert declared_sources({"nodes": None, "definitions": []}) == {}


def test_a_number_too_long_for_python_is_no_whole_json(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text('{"nodes": [], "x": ' + "9" * 5000 + "}")
    with pytest.raises(BadInput):
        read_workflow_file(tmp_path / "w.json")


def test_the_patch_is_the_same_whatever_the_user_set_for_diffs(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=tmp_path, check=True)

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "x")
    git("config", "diff.noprefix", "true")
    (tmp_path / "new").write_text("x\n")
    assert b"diff --git a/new b/new\n" in read_checkout(tmp_path).changes.patch


def test_names_in_a_capsule_steer_neither_markup_nor_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_table("Capsule [x]", ("what",), [("model[fp8]",), ("[/x]",), ("\x1b[31mred",)])
    terminal.say("\x1b]0;title\x07")
    out = capsys.readouterr().out
    assert "Capsule [x]" in out
    assert "model[fp8]" in out
    assert "[/x]" in out
    assert "\x1b" not in out


def test_a_path_that_cannot_be_used_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["comfy-capsule", "inspect", "x" * 300, "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad-path"


class _Foreign(BaseHTTPRequestHandler):
    """A web server that answers everything with a page."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_another_web_server_is_no_comfyui() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Foreign)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(BadInput) as caught:
            snapshot_remote(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert caught.value.code == "not-comfyui"
