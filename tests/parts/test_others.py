"""Capsules out of other tools' files, with real git and uv, and back: nothing foreign runs, what is lost is said."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import pytest

from bench import Commit, Pack, build_pack
from bench.git import commit_all, git, publish
from bench.index import PackageIndex, default_index, make_wheel
from bench.web import serving_http
from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.materialise import ModelStore, read_pylock
from comfy_capsule.packager.others import Places, make, read_others, write_snapshot
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.restore import restore

HERE = ".".join(map(str, sys.version_info[:3]))
RAN = "raise SystemExit('run without a yes')\n"
CORE = {
    "main.py": RAN,
    "nodes.py": "",
    "folder_paths.py": RAN,
    "comfy/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    ".gitignore": "/custom_nodes/\n/models/\n/input/\n",
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class World:
    """A ComfyUI, packs and an index that a file can name."""

    def __init__(self, folder: Path, index: PackageIndex) -> None:
        self.folder, self.index = folder, index
        origins = folder / "origins"
        self.core = build_pack(origins, "ComfyUI", Commit("core", CORE, tag="v0.30.0"), Commit("later", {"new.py": ""}))
        self.tint = build_pack(
            origins, "tint", Commit("one", {"__init__.py": RAN, "install.py": RAN}), Commit("two", {"later.py": ""})
        )
        self.grain = build_pack(origins, "grain", Commit("one", {"__init__.py": RAN}))
        for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "1.5")):
            make_wheel(index.folder, name, version)
        self.places = Places(comfyui=self.core.url, local=True)

    def manager(self, **said: Any) -> dict[str, Any]:
        return {
            "comfyui": self.core.commits[0],
            "git_custom_nodes": {
                self.tint.url: {"hash": self.tint.commits[0], "disabled": False},
                self.grain.url: {"hash": self.grain.commits[0], "disabled": True},
            },
            "cnr_custom_nodes": {},
            "file_custom_nodes": [],
            "pips": {"alpha==1.0": "", "beta==1.5": ""},
            **said,
        }

    def file(self, said: Any, name: str = "snapshot.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(said))
        return path

    def make(self, said: Any, **how: Any) -> Capsule:
        return make(read_others(self.file(said)), "old", **{"places": self.places, **how})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    with default_index(tmp_path, monkeypatch) as index:
        yield World(tmp_path, index)


def found(capsule: Capsule, code: str) -> dict[str, str]:
    return {item.subject: item.message for item in capsule.lock.findings if item.code == code}


def commits(capsule: Capsule) -> dict[str, str]:
    return {"ComfyUI": capsule.lock.comfyui.commit, **{pack.name: pack.commit for pack in capsule.lock.packs}}


def pins(capsule: Capsule) -> dict[str, str]:
    return read_pylock(capsule.pylock).versions()


def test_a_manager_snapshot_becomes_a_capsule_that_restores(world: World, tmp_path: Path) -> None:
    events: list[Progress] = []
    capsule = world.make(world.manager(), report=events.append)
    assert commits(capsule) == {
        "ComfyUI": world.core.commits[0],
        "tint": world.tint.commits[0],
        "grain": world.grain.commits[0],
    }
    assert {pack.name: pack.enabled for pack in capsule.lock.packs} == {"tint": True, "grain": False}
    assert all(source.tree for source in (capsule.lock.comfyui, *capsule.lock.packs))
    assert pins(capsule) == {"alpha": "1.0", "beta": "1.5"}
    assert all(wheel.hashes for item in read_pylock(capsule.pylock).pylock.packages for wheel in item.wheels or ())
    assert set(found(capsule, "not-in-source")) == {"local changes", "models", "packs", "platform", "workflow"}
    assert set(found(capsule, "assumed")) == {"ComfyUI", "Python", "pip freeze"}
    assert "2 distribution(s)" in found(capsule, "resolved-today")["Python"]
    assert not any(item.blocks for item in capsule.lock.findings)
    assert list(dict.fromkeys(event.phase for event in events))[:3] == ["sources", "resolve", "python"]
    path = tmp_path / "old.capsule.zip"
    write_capsule(capsule, path)
    made = restore(read_capsule(path), tmp_path / "new", store=ModelStore(tmp_path / "store"))
    assert made.table.equal, made.table.differing
    with pytest.raises(BadInput, match="no workflow") as caught:
        read_capsule(path).need_workflow()
    assert caught.value.code == "no-workflow"


@pytest.mark.parametrize("form", ["manager", "desktop"])
def test_there_and_back_gives_the_same_commits_and_pins(world: World, form: Any) -> None:
    first = world.make(world.manager())
    made = write_snapshot(first, form, NOW)
    again = world.make(made.document)
    assert (commits(again), pins(again)) == (commits(first), pins(first))
    assert {pack.name: pack.enabled for pack in again.lock.packs} == {"tint": True, "grain": False}
    assert [pack.tree for pack in again.lock.packs] == [pack.tree for pack in first.lock.packs]
    assert write_snapshot(again, form, NOW).document["type" if form == "desktop" else "pips"] is not None
    assert {item.code for item in made.lost} == {"lost"}
    assert {item.subject for item in made.lost} >= {"ComfyUI", "digests", "hashes", "the pack 'tint'"}
    assert ("Python" in {item.subject for item in made.lost}) == (form == "manager")


def test_a_tag_is_looked_up_and_a_missing_commit_is_asked_for(world: World) -> None:
    snapshot = {
        "version": 1,
        "comfyui": {"ref": "v0.30.0", "commit": None},
        "customNodes": [],
        "pipPackages": {},
        "pythonVersion": HERE,
    }
    capsule = world.make(snapshot)
    assert capsule.lock.comfyui.commit == world.core.commits[0]
    assert world.core.commits[0] in found(capsule, "resolved-today")["ComfyUI"]
    for core in ("v9.9.9", None):
        with pytest.raises(BadInput) as caught:
            world.make(world.manager(comfyui=core))
        assert caught.value.code == "no-comfyui-commit"


def test_what_cannot_be_had_is_a_finding_that_blocks_and_the_rest_is_there(world: World) -> None:
    gone = f"file://{world.folder}/gone.git"
    said = world.manager(
        git_custom_nodes={
            gone: {"hash": "1" * 40, "disabled": False},
            world.tint.url: {"hash": "2" * 40, "disabled": False},
            world.grain.url: {"hash": world.grain.commits[0], "disabled": False},
        },
        cnr_custom_nodes={"blur": "1.0.0"},
        file_custom_nodes=[{"filename": "one.py", "disabled": False}],
        pips={"alpha==9.9": "", "beta==1.5": "", "nowhere==1": ""},
    )
    capsule = world.make(said)
    assert commits(capsule).keys() == {"ComfyUI", "grain"}
    assert found(capsule, "pack-not-had").keys() == {"gone", "tint", "blur", "one.py"}
    assert "no longer has commit" in found(capsule, "pack-not-had")["tint"]
    assert pins(capsule) == {"beta": "1.5"}
    assert found(capsule, "pin-not-had").keys() == {"alpha", "nowhere"}
    assert {item.code for item in capsule.lock.findings if item.blocks} == {"pack-not-had", "pin-not-had"}


def test_folders_of_this_machine_are_read_only_after_a_yes(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        world.make(world.manager(), places=Places(comfyui=world.core.url))
    assert caught.value.code == "local-origin-refused"
    git("clone", "--quiet", "--bare", world.core.url, tmp_path / "web/core.git", cwd=tmp_path)
    git("update-server-info", cwd=tmp_path / "web/core.git")
    with serving_http(partial(_Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
        places = Places(comfyui=f"http://127.0.0.1:{server.server_port}/core.git")
        capsule = world.make(world.manager(), places=places)
    assert capsule.lock.packs == ()
    assert found(capsule, "pack-not-had").keys() == {"tint", "grain"}
    assert "--local-origins" in next(item.cure for item in capsule.lock.findings if item.subject == "tint")


def test_submodules_come_along(world: World, tmp_path: Path) -> None:
    inner = build_pack(tmp_path / "origins", "inner", Commit("inner", {"inner.py": "1"}))
    tree = tmp_path / "outer"
    tree.mkdir()
    git("init", "--quiet", cwd=tree)
    git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        "../inner.git",
        "lib",
        cwd=_named(tree, inner),
    )
    commit = commit_all(tree, "outer")
    publish(tree, tmp_path / "origins/outer.git")
    outer = Pack("outer", tmp_path / "origins/outer.git", (commit,))
    capsule = world.make(world.manager(git_custom_nodes={outer.url: {"hash": commit, "disabled": False}}))
    assert [(item.path, item.commit) for item in capsule.lock.packs[0].submodules] == [("lib", inner.commits[0])]


def test_a_pack_of_a_host_gets_no_repository_of_this_machine(world: World, tmp_path: Path) -> None:
    private = build_pack(tmp_path / "origins", "private", Commit("one", {"diary.txt": "mine"}))
    tree = tmp_path / "outer"
    tree.mkdir()
    git("init", "--quiet", cwd=tree)
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", private.url, "lib", cwd=tree)
    commit = commit_all(tree, "outer")
    publish(tree, tmp_path / "web/outer.git")
    git("update-server-info", cwd=tmp_path / "web/outer.git")
    with serving_http(partial(_Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.server_port}/outer.git"
        capsule = world.make(world.manager(git_custom_nodes={url: {"hash": commit, "disabled": False}}))
    (pack,) = capsule.lock.packs
    assert (pack.commit, pack.submodules) == (commit, ())
    assert private.url in found(capsule, "pack-not-had")["outer"]
    assert b"mine" not in b"".join(capsule.files.values())


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def _named(tree: Path, inner: Pack) -> Path:
    """`tree` with a remote beside `inner`, which relative addresses are relative to."""
    git("remote", "add", "origin", f"{inner.origin.parent.as_uri()}/outer.git", cwd=tree)
    return tree


class _Registry(BaseHTTPRequestHandler):
    """The Comfy registry's API in small, as ComfyUI-Manager asks it (``cnr_utils.py`` install_node)."""

    archive = b""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        host = f"http://{self.headers['Host']}"
        answers = {
            "/nodes/blur/install?version=1.0.0": json.dumps({"downloadUrl": f"{host}/blur.zip"}).encode(),
            "/blur.zip": self.archive,
        }
        body = answers.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


def test_packs_of_the_registry_are_fetched_where_it_is_named(world: World, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "blur.zip", "w") as archive:
        archive.writestr("__init__.py", RAN)
        archive.writestr("pyproject.toml", '[project]\nname = "blur"\nversion = "1.0.0"\n')
    _Registry.archive = (tmp_path / "blur.zip").read_bytes()
    said = world.manager(git_custom_nodes={}, cnr_custom_nodes={"blur": "1.0.0", "none": "2.0.0"})
    with serving_http(_Registry, "127.0.0.1") as server:
        places = world.places.model_copy(update={"registry": f"http://127.0.0.1:{server.server_port}"})
        capsule = world.make(said, places=places)
    (pack,) = capsule.lock.packs
    assert (pack.kind, pack.registry, pack.path) == ("registry", "blur@1.0.0", "blur")
    assert "blur" in found(capsule, "resolved-today")
    assert "404" in found(capsule, "pack-not-had")["none"]
    made = write_snapshot(capsule, "manager", NOW)
    assert made.document["cnr_custom_nodes"] == {"blur": "1.0.0"}


def test_a_source_archive_is_built_only_after_a_yes(world: World, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    tree = {
        "setup.py": f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='gamma', version='1')\n"
    }
    gamma = build_pack(tmp_path / "origins", "gamma", Commit("one", tree))
    said = world.manager(git_custom_nodes={}, pips={"gamma": f"git+https://example.com/gamma@{gamma.commits[0]}"})
    capsule = world.make(said)
    assert found(capsule, "pin-not-had").keys() == {"gamma"}
    assert not ran.exists()


def test_a_wheel_at_an_address_is_installed_and_no_pth_file_runs(world: World, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = {"evil.pth": f"import os; open({str(ran)!r}, 'w').close()\n", "evil.py": ""}
    make_wheel(world.index.folder, "evil", "1.0", evil)
    make_wheel(tmp_path / "web", "delta", "3.0")
    with serving_http(partial(_Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
        address = f"http://127.0.0.1:{server.server_port}/delta-3.0-py3-none-any.whl"
        pips = {"evil==1.0": "", "delta": address, "alpha": address.replace("delta-3.0", "gone-1")}
        capsule = world.make(world.manager(git_custom_nodes={}, pips=pips))
        assert pins(capsule).keys() == {"evil", "delta"}
        assert address in found(capsule, "resolved-today")["delta"]
        assert found(capsule, "pin-not-had").keys() == {"alpha"}
        assert not ran.exists()
    assert any(name.startswith("python/delta") for name in capsule.files)  # the address gave no hash to come back to
    made = write_snapshot(capsule, "manager", NOW)
    assert made.document["pips"] == {"delta==3.0": "", "evil==1.0": ""}
    assert "delta" in next(item.message for item in made.lost if item.subject == "wheels")


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
    import hashlib

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
    status, said, _ = comfy_capsule("import", ui, "--graphs", tmp_path / "graphs")
    assert (status, "Draw" in said) == (0, True)
    assert json.loads((tmp_path / "graphs/workflow.json").read_text())["nodes"]
    assert comfy_capsule("import", ui, "-o", tmp_path / "b.zip")[0] == 2
