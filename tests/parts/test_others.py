"""Capsules out of other tools' files, with real git and uv, and back: nothing foreign runs, what is lost is said."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bench import Commit, Pack, build_pack
from bench.git import commit_all, git, publish
from bench.others import RAN, Files, World, a_world, commits, found, pins
from bench.web import serving_http
from comfy_capsule.packager.capsule import read_capsule, write_capsule
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.materialise import ModelStore, read_pylock
from comfy_capsule.packager.others import Places, write_snapshot
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.restore import restore

HERE = ".".join(map(str, sys.version_info[:3]))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch) as made:
        yield made


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


def test_of_two_packs_for_one_folder_the_first_is_taken_and_links_lead_nowhere(world: World, tmp_path: Path) -> None:
    other = build_pack(tmp_path / "other", "Tint", Commit("one", {"other.py": ""}))
    said = {pack.url: {"hash": pack.commits[0], "disabled": False} for pack in (world.tint, other)}
    capsule = world.make(world.manager(git_custom_nodes=said))
    assert [pack.origin for pack in capsule.lock.packs] == [world.tint.url]
    assert found(capsule, "entry-left-out").keys() == {"Tint"}
    (tmp_path / "elsewhere").mkdir()
    tree = tmp_path / "tree"
    git("clone", "--quiet", world.core.url, tree, cwd=tmp_path)
    (tree / "custom_nodes").symlink_to(tmp_path / "elsewhere")
    commit = commit_all(tree, "a link")
    publish(tree, tmp_path / "origins/linked.git")
    places = Places(comfyui=(tmp_path / "origins/linked.git").as_uri(), local=True)
    for disabled in (False, True):
        nodes = {world.tint.url: {"hash": world.tint.commits[0], "disabled": disabled}}
        with pytest.raises(BadInput) as caught:
            world.make(world.manager(comfyui=commit, git_custom_nodes=nodes), places=places)
        assert caught.value.code == "capsule-unsafe-name"
    assert not any((tmp_path / "elsewhere").iterdir())


def test_folders_of_this_machine_are_read_only_after_a_yes(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        world.make(world.manager(), places=Places(comfyui=world.core.url))
    assert caught.value.code == "local-origin-refused"
    git("clone", "--quiet", "--bare", world.core.url, tmp_path / "web/core.git", cwd=tmp_path)
    git("update-server-info", cwd=tmp_path / "web/core.git")
    with serving_http(partial(Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
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
    with serving_http(partial(Files, directory=str(tmp_path / "web")), "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.server_port}/outer.git"
        capsule = world.make(world.manager(git_custom_nodes={url: {"hash": commit, "disabled": False}}))
    (pack,) = capsule.lock.packs
    assert (pack.commit, pack.submodules) == (commit, ())
    assert private.url in found(capsule, "pack-not-had")["outer"]
    assert b"mine" not in b"".join(capsule.files.values())


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
