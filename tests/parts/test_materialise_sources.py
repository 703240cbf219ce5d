"""Source trees from real git repositories: the exact commit, proved, or a sentence that says what is off."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from comfy_capsule.packager.capsule import (
    NOT_CORE,
    Capsule,
    ComfyUI,
    Lock,
    Pack,
    Platform,
    Submodule,
    tree_digest,
    tree_files,
)
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.materialise import materialise_sources
from comfy_capsule.packager.progress import Progress, silent


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def repository(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, files)
    return folder


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD").strip()


def pack_of(folder: Path, **said: object) -> Pack:
    head = git(folder, "rev-parse", "HEAD").strip()
    base = {"name": folder.name, "kind": "git", "origin": str(folder), "commit": head, "used": True}
    return Pack.model_validate({**base, "tree": tree_digest(folder, tree_files(folder)), **said})


def capsule_of(core: Path, *packs: Pack, files: dict[str, bytes] | None = None) -> Capsule:
    said = pack_of(core, tree=tree_digest(core, tree_files(core, NOT_CORE)))
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
        comfyui=ComfyUI(version="0.30.0", kind="git", origin=said.origin, commit=said.commit, tree=said.tree),
        packs=packs,
    )
    return Capsule(lock, "", {}, {}, Contract(name="w"), {}, files or {})


@pytest.fixture
def core(tmp_path: Path) -> Path:
    return repository(tmp_path / "origins/core", {"main.py": "1\n", ".gitignore": "/custom_nodes/\n"})


def test_comfyui_and_packs_come_back_at_their_commits(tmp_path: Path, core: Path) -> None:
    first = repository(tmp_path / "origins/first", {"__init__.py": "old\n"})
    pinned = pack_of(first)
    commit(first, {"__init__.py": "new\n"})
    other = pack_of(repository(tmp_path / "origins/other", {"a b/ü.py": "x\n"}), enabled=False)
    events: list[Progress] = []
    made = materialise_sources(
        capsule_of(core, pinned, other), tmp_path / "to", events.append, packs="all", with_git=True
    )
    nodes = tmp_path / "to/ComfyUI/custom_nodes"
    assert (nodes / "first/__init__.py").read_text() == "old\n"
    assert (nodes / "other.disabled/a b/ü.py").is_file()
    assert made.packs == {"first": nodes / "first", "other.disabled": nodes / "other.disabled"}
    assert git(nodes / "first", "remote", "get-url", "origin").strip() == str(first)
    assert git(nodes / "first", "rev-parse", "HEAD").strip() == pinned.commit
    assert git(nodes / "first", "status", "--porcelain") == ""
    assert (nodes / "first/.git/shallow").is_file()
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["ComfyUI"]
    assert events[-1] == Progress(phase="sources", item=events[-1].item, done=3, total=3)


def test_used_packs_only_and_without_git(tmp_path: Path, core: Path) -> None:
    used = pack_of(repository(tmp_path / "origins/used", {"a.py": "x\n"}))
    unused = pack_of(repository(tmp_path / "origins/unused", {"a.py": "x\n"}), used=False)
    materialise_sources(capsule_of(core, used, unused), tmp_path / "to", silent, packs="used", with_git=False)
    assert not list((tmp_path / "to").rglob(".git"))
    assert [path.name for path in (tmp_path / "to/ComfyUI/custom_nodes").iterdir()] == ["used"]


def test_a_commit_that_no_branch_names_is_fetched_whole(tmp_path: Path, core: Path) -> None:
    folder = repository(tmp_path / "origins/p", {"a.py": "1\n"})
    old = pack_of(folder)
    commit(folder, {"a.py": "2\n"})
    git(folder, "config", "protocol.version", "0")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "false")
    materialise_sources(capsule_of(core, old), tmp_path / "to", silent, packs="all", with_git=True)
    assert (tmp_path / "to/ComfyUI/custom_nodes/p/a.py").read_text() == "1\n"


def test_local_changes_are_applied_before_the_tree_is_compared(tmp_path: Path, core: Path) -> None:
    folder = repository(tmp_path / "origins/p", {"a.py": "1\n"})
    (folder / "a.py").write_bytes(b"caf\xe9\n")
    (folder / "new.bin").write_bytes(bytes(range(256)))
    git(folder, "add", "-AN")
    diff = subprocess.run(["git", "diff", "--binary"], cwd=folder, check=True, capture_output=True).stdout
    changed = pack_of(folder, patch="packs/p.patch")
    capsule = capsule_of(core, changed, files={"packs/p.patch": diff})
    made = materialise_sources(capsule, tmp_path / "to", silent, packs="all", with_git=False)
    assert (made.packs["p"] / "a.py").read_bytes() == b"caf\xe9\n"
    assert (made.packs["p"] / "new.bin").read_bytes() == bytes(range(256))
    broken = capsule_of(core, changed, files={"packs/p.patch": diff.replace(b"-1", b"-7")})
    with pytest.raises(CapsuleError, match="do not apply") as caught:
        materialise_sources(broken, tmp_path / "to2", silent, packs="all", with_git=False)
    assert caught.value.code == "patch-failed"


def test_submodules_come_at_the_commit_that_the_lock_names(tmp_path: Path, core: Path) -> None:
    inner = repository(tmp_path / "origins/inner", {"lib.py": "1\n"})
    folder = repository(tmp_path / "origins/p", {"a.py": "1\n"})
    git(folder, "submodule", "--quiet", "add", str(inner), "lib")
    git(folder, "commit", "-q", "-m", "with lib")
    inside = Submodule(path="lib", origin=str(inner), commit=git(inner, "rev-parse", "HEAD").strip())
    pinned = pack_of(folder, submodules=(inside,))
    commit(inner, {"lib.py": "2\n"})
    made = materialise_sources(capsule_of(core, pinned), tmp_path / "to", silent, packs="all", with_git=False)
    assert (made.packs["p"] / "lib/lib.py").read_text() == "1\n"
    assert not list((tmp_path / "to").rglob(".git"))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"origin": "/nowhere/at/all"}, "origin-gone"),
        ({"commit": "1" * 40}, "commit-gone"),
        ({"tree": "0" * 64}, "tree-differs"),
        ({"kind": "folder"}, "not-carried"),
        ({"patch": "packs/lost.patch"}, "not-carried"),
        ({"kind": "file", "origin": ""}, "not-carried"),
        ({"origin": "--upload-pack=touch x"}, "capsule-bad-origin"),
        ({"commit": "HEAD"}, "capsule-bad-origin"),
        ({"origin": "ext::sh -c touch% /tmp/x"}, "origin-gone"),
        ({"name": "../p"}, "capsule-unsafe-name"),
        ({"name": "a/p"}, "capsule-unsafe-name"),
    ],
)
def test_what_cannot_be_had_is_named(tmp_path: Path, core: Path, said: dict[str, str], code: str) -> None:
    pack = pack_of(repository(tmp_path / "origins/thepack", {"a.py": "x\n"}), **said)
    with pytest.raises(CapsuleError) as caught:
        materialise_sources(capsule_of(core, pack), tmp_path / "to", silent, packs="all", with_git=True)
    assert caught.value.code == code
    assert caught.value.cure
    assert "p" in caught.value.message


def test_every_failing_source_is_named(tmp_path: Path, core: Path) -> None:
    packs = [
        pack_of(repository(tmp_path / f"origins/{name}", {"a.py": "x\n"}), origin="/nowhere") for name in ("one", "two")
    ]
    with pytest.raises(CapsuleError, match=r"'one'.*'two'") as caught:
        materialise_sources(capsule_of(core, *packs), tmp_path / "to", silent, packs="all", with_git=True)
    assert caught.value.code == "sources-failed"


def test_nothing_of_the_fetched_tree_runs_or_leads_out(
    tmp_path: Path, core: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = {".gitattributes": "*.bin filter=lfs\n", "m.bin": "version https://git-lfs\n"}
    pack = pack_of(repository(tmp_path / "origins/p", pointer))
    template = tmp_path / "template/hooks"
    template.mkdir(parents=True)
    (template / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    (template / "post-checkout").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[init]\n templateDir={tmp_path}/template\n"
        f'[filter "lfs"]\n smudge=touch {tmp_path}/smudge-ran\n required=true\n[core]\n autocrlf=true\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    made = materialise_sources(capsule_of(core, pack), tmp_path / "to", silent, packs="all", with_git=True)
    assert (made.packs["p"] / "m.bin").read_bytes() == b"version https://git-lfs\n"
    assert not (tmp_path / "smudge-ran").exists()
    assert not (tmp_path / "hook-ran").exists()


def test_a_link_in_the_tree_is_not_written_through(tmp_path: Path, core: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    os.symlink(outside, core / "custom_nodes")
    (core / ".gitignore").unlink()
    commit(core, {"main.py": "2\n"})
    pack = pack_of(repository(tmp_path / "origins/p", {"a.py": "x\n"}))
    with pytest.raises(BadInput) as caught:
        materialise_sources(capsule_of(core, pack), tmp_path / "to", silent, packs="all", with_git=True)
    assert caught.value.code == "capsule-unsafe-name"
    assert not list(outside.iterdir())
