"""The Python of other tools' files, comfy-pack's archives, and the two commands: with real git, uv and an index."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from bench.index import make_wheel
from bench.others import Files, World, a_world, found, pins
from bench.web import serving_http
from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import read_capsule
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.others import make, read_others, write_snapshot

HERE = ".".join(map(str, sys.version_info[:3]))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch) as made:
        yield made


BACKEND = """
import pathlib, zipfile
pathlib.Path({ran!r}).touch()

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "gamma-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        archive.writestr("gamma.py", "")
        info = "gamma-1.0.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: gamma\\nVersion: 1.0\\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "RECORD", "gamma.py,,\\n" + info + "METADATA,,\\n")
    return name
"""


def test_a_source_archive_is_built_only_after_a_yes(world: World, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "gamma"\nversion = "1.0"\n',
        "backend.py": BACKEND.format(ran=str(ran)),
        "PKG-INFO": "Metadata-Version: 2.1\nName: gamma\nVersion: 1.0\n",
    }
    with tarfile.open(world.index.folder / "gamma-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"gamma-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    repository = f"git+https://example.invalid/delta@{'1' * 40}"
    said = world.manager(git_custom_nodes={}, pips={"gamma==1.0": "", "delta": repository})
    capsule = world.make(said)
    assert pins(capsule) == {}
    assert all("comes as source" in each for each in found(capsule, "pin-not-had").values())
    assert found(capsule, "pin-not-had").keys() == {"gamma", "delta"}
    assert not ran.exists()
    capsule = world.make(said, trust=True)
    assert pins(capsule) == {"gamma": "1.0"}
    assert ran.exists()
    assert found(capsule, "pin-not-had").keys() == {"delta"}
    assert "built-from-source" in {item.code for item in capsule.lock.findings}


def test_a_wheel_at_an_address_is_installed_and_no_pth_file_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_CACHE", "1")  # nor is what uv knows of an interpreter
    ran = tmp_path / "ran"
    evil = {"evil.pth": f"import os; open({str(ran)!r}, 'w').close()\n", "evil.py": ""}
    make_wheel(world.index.folder, "evil", "1.0", evil)
    make_wheel(tmp_path / "web", "delta", "3.0")
    with serving_http(partial(Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
        address = f"http://127.0.0.1:{server.server_port}/delta-3.0-py3-none-any.whl"
        pips = {"evil==1.0": "", "delta": address, "alpha": address.replace("delta-3.0", "gone-1")}
        capsule = world.make(world.manager(git_custom_nodes={}, pips=pips))
        assert pins(capsule).keys() == {"evil", "delta"}
        assert address in found(capsule, "resolved-today")["delta"]
        assert found(capsule, "pin-not-had").keys() == {"alpha"}
        assert not ran.exists()
        assert any(name.startswith("python/delta") for name in capsule.files)  # uv notes the address without a hash
        made = write_snapshot(capsule, "manager", NOW)
        assert made.document["pips"] == {"delta==3.0": "", "evil==1.0": ""}
        assert "delta" in next(item.message for item in made.lost if item.subject == "wheels")
        digest = hashlib.sha256((tmp_path / "web/delta-3.0-py3-none-any.whl").read_bytes()).hexdigest()
        for said, there in ((digest, True), ("0" * 64, False)):
            (tmp_path / "w.cpack.zip").unlink(missing_ok=True)
            with zipfile.ZipFile(tmp_path / "w.cpack.zip", "w") as archive:
                archive.writestr("snapshot.json", json.dumps({"comfyui": world.core.commits[0], "models": []}))
                archive.writestr("requirements.txt", f"delta @ {address} --hash=sha256:{said}\n")
            capsule = make(read_others(tmp_path / "w.cpack.zip"), "w", places=world.places)
            assert (pins(capsule) == {"delta": "3.0"}) == there
            assert ("delta" in found(capsule, "pin-not-had")) != there


def test_a_repository_that_was_installed_comes_back_by_its_address_and_commit(world: World) -> None:
    first = world.make(world.manager())
    commit, origin = world.tint.commits[0], "https://example.com/tint.git"
    package = (
        f'[[packages]]\nname = "tint"\nversion = "1"\nvcs = {{type = "git", url = "{origin}", commit-id = "{commit}"}}'
    )
    text = f'lock-version = "1.0"\ncreated-by = "t"\n{package}\n'
    for form, key in (("manager", "pips"), ("desktop", "pipPackages")):
        document = write_snapshot(replace(first, pylock=text), cast(Any, form), NOW).document
        said = document[key] if form == "manager" else document["snapshots"][0][key]
        assert said == {"tint": f"git+{origin}@{commit}"}
        assert [pin.url for pin in read_others(world.file(document)).pins] == [f"git+{origin}@{commit}"]


def test_hashes_in_the_file_are_held_to(world: World) -> None:
    wheel = next(world.index.folder.glob("alpha-1.0*"))
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for digest, there in ((right, True), ("0" * 64, False)):
        snapshot = {"comfyui": world.core.commits[0], "custom_nodes": [], "models": [], "python": "3"}
        path = world.folder / "w.cpack.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("snapshot.json", json.dumps(snapshot))
            archive.writestr("requirements.txt", f"alpha==1.0 --hash=sha256:{digest}\n")
        capsule = make(read_others(path), "w", places=world.places)
        assert ("alpha" in pins(capsule)) == there
        assert ("alpha" in found(capsule, "pin-not-had")) != there


def test_no_index_is_an_error_and_not_an_empty_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(CapsuleError) as caught:
        world.make(world.manager())
    assert caught.value.code == "index-unreachable"


def cpack(world: World, api: Any) -> Path:
    model = {"filename": "models/loras/x.safetensors", "size": 7, "sha256": "c" * 64, "disabled": False}
    path = world.folder / "w.cpack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("snapshot.json", json.dumps({**world.manager(), "python": HERE, "models": [model]}))
        archive.writestr("workflow.json", json.dumps({"nodes": [{"id": 1, "type": "Draw"}], "links": []}))
        archive.writestr("workflow_api.json", json.dumps(api))
        archive.writestr("input/in.png", b"pixels")
    return path


def test_a_comfy_pack_archive_keeps_workflow_models_and_inputs_and_boots_nothing(world: World) -> None:
    path = cpack(world, {"1": {"class_type": "Draw", "inputs": {"token": "hf_" + "a1B2" * 9}}})
    capsule = make(read_others(path), "w", places=world.places)
    assert [(model.name, model.sha256) for model in capsule.lock.models] == [("x.safetensors", "c" * 64)]
    assert capsule.read("inputs/in.png") == b"pixels"
    assert [item.name for item in capsule.lock.inputs] == ["in.png"]
    assert capsule.graph["1"]["class_type"] == "Draw"
    assert "a1B2a1B2" not in json.dumps(capsule.graph)
    assert found(capsule, "contract-not-made").keys() == {"workflow"}
    with pytest.raises(BadInput):
        capsule.need_workflow()


@pytest.fixture
def comfy_capsule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["comfy-capsule", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_the_commands(world: World, tmp_path: Path, comfy_capsule: Any) -> None:
    file, out = world.file(world.manager()), tmp_path / "old.capsule.zip"
    places = ("--comfyui-origin", world.core.url, "--local-origins")
    status, said, _ = comfy_capsule("import", file, *places, "--dry-run")
    assert (status, out.exists()) == (0, False)
    assert world.tint.commits[0][:12] in said
    status, said, _ = comfy_capsule("import", file, *places, "--dry-run", "--json")
    assert [step["what"] for step in json.loads(said)["steps"]] == ["comfyui", "pack", "pack", "python"]
    assert comfy_capsule("import", file)[0] == 2
    status, said, told = comfy_capsule("import", file, *places, "-o", out)
    assert (status, told.splitlines()) == (
        0,
        ["sources …", "resolve …", "python …", "packs …", "comfyui …", "system …"],
    )
    assert "[not-in-source]" in said
    for words in (("inspect", out), ("contract", out), ("diff", out, out), ("models", "list", out)):
        assert comfy_capsule(*words)[0] == 0, words
    assert comfy_capsule("restore", out, "--into", tmp_path / "r", "--dry-run")[0] == 0
    status, said, _ = comfy_capsule("export-as", "desktop", out, "-o", tmp_path / "d.json")
    assert status == 0
    assert "lost      " in said
    assert json.loads((tmp_path / "d.json").read_text())["type"] == "comfyui-desktop-2-snapshot"
    status, said, _ = comfy_capsule("export-as", "manager", out, "-o", tmp_path / "m.json", "--json")
    assert json.loads(said)["lost"]
    assert json.loads((tmp_path / "m.json").read_text())["pips"] == {"alpha==1.0": "", "beta==1.5": ""}
    broken = world.file(world.manager(pips={"nowhere==1": ""}), "broken.json")
    assert comfy_capsule("import", broken, *places, "-o", tmp_path / "b.zip", "--strict")[0] == 3
    assert not (tmp_path / "b.zip").exists()
    for words in (
        ("build", out, "--context-only", tmp_path / "context"),
        ("serve", out, "--comfy", "http://127.0.0.1:9"),
    ):
        status, said, told = comfy_capsule(*words)
        assert (status, "no-workflow" in told) == (2, True)
    assert comfy_capsule("import", file, "--comfy", tmp_path, "-o", tmp_path / "b.zip")[0] == 2
    ui = tmp_path / "w.json"
    ui.write_text(json.dumps({"nodes": [{"id": 1, "type": "Draw"}], "links": []}))
    api = world.file({"1": {"class_type": "Draw", "inputs": {}}}, "api.json")
    with_it = tmp_path / "with.capsule.zip"
    assert comfy_capsule("import", file, *places, "--workflow", ui, "--api", api, "-o", with_it)[0] == 0
    read = read_capsule(with_it)
    assert (read.graph.keys(), "workflow" in found(read, "not-in-source")) == ({"1"}, False)
    assert found(read, "contract-not-made")
    status, said, _ = comfy_capsule("import", ui, "--graphs", tmp_path / "graphs")
    assert (status, "Draw" in said) == (0, True)
    assert json.loads((tmp_path / "graphs/workflow.json").read_text())["nodes"]
    assert comfy_capsule("import", ui, "-o", tmp_path / "b.zip")[0] == 2
