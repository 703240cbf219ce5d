"""Where packs are found, what is said of them, and what a hostile one cannot do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import NOT_CORE, ComfyUI, tree_files
from comfy_capsule.packager.materialise.tree import make_tree
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.core import read_core
from comfy_capsule.packager.snapshot.packs import read_packs
from trees import checkout, commit, git, given_back, holds, install_of, plain, read, secret_in_the_commit


def test_every_place_of_a_pack_comes_back(nodes: Path, tmp_path: Path) -> None:
    checkout(nodes / "one", {"__init__.py": "", "requirements.txt": "", "requirements-gpu.txt": "", "install.py": ""})
    checkout(nodes / "my.pack", {"__init__.py": ""})
    checkout(nodes / "off.disabled", {"__init__.py": ""})
    plain(nodes / ".disabled/hidden@1_0_0", nodes)
    (nodes / "single.py").write_text("x")
    (nodes / "single_off.py.disabled").write_text("x")
    (nodes / "__pycache__").mkdir()
    (nodes.parent / ".git").mkdir()
    (nodes / "websocket_image_save.py").write_text("of ComfyUI's own checkout")
    (nodes / "notes.txt").write_text("no pack")
    object_info = {"One": {"python_module": "custom_nodes.one"}, "S": {"python_module": "custom_nodes.single"}}
    found = read_packs(install_of(nodes), object_info, frozenset({"One"}), silent)
    packs = {pack.path: pack for pack in found.packs}
    assert list(packs) == [
        *(".disabled/hidden@1_0_0", "my.pack", "off.disabled", "one", "single.py", "single_off.py.disabled")
    ]
    assert [path for path, pack in packs.items() if not pack.enabled] == [
        *(".disabled/hidden@1_0_0", "off.disabled", "single_off.py.disabled")
    ]
    one = packs["one"]
    assert (one.used, one.classes, one.install_script) == (True, ("One",), "install.py")
    assert one.requirements == ("requirements-gpu.txt", "requirements.txt")
    assert packs["single.py"].classes == ("S",)
    assert packs["single.py"].kind == "file"
    assert packs["off.disabled"].name == "off"
    holds(found, ("secret-file-left-out", "hidden@1_0_0"))
    back = tmp_path / "back/custom_nodes"
    found = read(nodes).model_copy(update={"packs": tuple(pack for pack in read(nodes).packs if pack.kind != "git")})
    again = given_back(found, back)
    assert again.packs == found.packs


def test_a_comfyui_without_git_comes_back_with_all_that_is_its_own(nodes: Path, tmp_path: Path) -> None:
    comfy = nodes.parent
    for name in ("main.py", "comfy/a.py", "run.bat", "models/checkpoints/big.bin", "input/photo.png", "output/x.png"):
        (comfy / name).parent.mkdir(parents=True, exist_ok=True)
        (comfy / name).write_text(name)
    (nodes / "websocket_image_save.py").write_text("of ComfyUI itself")
    core = read_core(install_of(nodes))
    assert [item.code for item in core.findings] == ["core-not-git"]
    said = ComfyUI(version="0.30.0", **core.source)
    make_tree("ComfyUI", said, tmp_path / "back/ComfyUI", core.files, with_git=True, without=NOT_CORE)
    assert sorted(path.name for path in (tmp_path / "back/ComfyUI").iterdir()) == ["comfy", "main.py", "run.bat"]
    given_back(read(nodes), tmp_path / "back/ComfyUI/custom_nodes")
    assert read_core(install_of(tmp_path / "back/ComfyUI/custom_nodes")).source == core.source
    assert (tmp_path / "back/ComfyUI/custom_nodes/websocket_image_save.py").is_file()


def test_a_linked_pack_is_what_is_there(nodes: Path, tmp_path: Path) -> None:
    checkout(tmp_path / "dev/linked", {"__init__.py": ""})
    (nodes / "linked").symlink_to(tmp_path / "dev/linked")
    (nodes / "loop").symlink_to("loop")
    (nodes / "gone").symlink_to("/nowhere")
    found = read(nodes)
    assert [(pack.name, pack.kind) for pack in found.packs if pack.tree] == [("linked", "git")]
    holds(found, ("pack-linked", "linked"), ("pack-broken-link", "loop"), ("pack-broken-link", "gone"))


def test_a_link_around_itself_and_a_pipe_are_no_packs(nodes: Path) -> None:
    plain(nodes / "pack", nodes)
    (nodes / "loop").symlink_to(".")
    (nodes / "disk").symlink_to("/")
    (nodes / "one").symlink_to("two")
    (nodes / "two").symlink_to("one")
    os.mkfifo(nodes / "pipe.py")
    packs = read(nodes)
    assert [pack.name for pack in packs.packs] == ["pack"]
    assert list(packs.files) == ["packs/pack.tar"]
    holds(
        packs,
        ("secret-file-left-out", "pack"),
        *(("pack-holds-itself", name) for name in ("disk", "loop")),
        *(("pack-broken-link", name) for name in ("one", "two")),
    )


def test_a_name_in_two_roots_and_names_that_no_capsule_can_have(nodes: Path, tmp_path: Path) -> None:
    other = tmp_path / "shared/custom_nodes"
    for root in (nodes, other):
        plain(root / "twin", nodes)
    plain(other / "only here", nodes)
    for name in ("back\\slash", "new\nline", os.fsdecode(b"latin\xe9")):
        plain(nodes / name, nodes)
    found = read_packs(install_of(nodes, other), None, frozenset(), silent)
    assert [pack.name for pack in found.packs] == ["only here", "twin"]
    blocking = sorted(item.code for item in found.findings if item.blocks)
    assert blocking == ["pack-twice", *["pack-unsafe-name"] * 3]
    found.model_dump_json()


def test_registry_packs_have_their_id_and_version(nodes: Path) -> None:
    for name, text in {
        "good": '[project]\nname = " ComfyUI-Thing "\nversion = "1.2.3"\n',
        "broken": "[project",
        "odd": 'project = "x"\n',
    }.items():
        plain(nodes / name, nodes)
        (nodes / name / ".tracking").write_text("__init__.py")
        (nodes / name / "pyproject.toml").write_text(text)
    said = {pack.name: (pack.kind, pack.registry) for pack in read(nodes).packs}
    assert said == {"good": ("registry", "comfyui-thing@1.2.3"), "broken": ("folder", ""), "odd": ("folder", "")}


def test_more_than_a_capsule_carries_is_a_finding(nodes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.snapshot.trees.tree._MOST_CARRIED", 1000)
    plain(nodes / "plain", nodes)
    (nodes / "plain/weights.bin").write_bytes(bytes(2000))
    checkout(nodes / "cloned", {"a.py": "x"})
    (nodes / "cloned/weights.bin").write_bytes(bytes(2000))
    found = read(nodes)
    blocking = {(item.code, item.subject) for item in found.findings if item.blocks}
    assert blocking == {("too-large-to-carry", "plain"), ("too-large-to-carry", "cloned")}
    assert not found.files


def test_nothing_that_a_checkout_configures_runs(nodes: Path, tmp_path: Path) -> None:
    trap = f"touch {tmp_path}/ran; cat"
    inner = checkout(tmp_path / "inner", {"lib.py": "1\n"})
    pack = checkout(nodes / "pack", {".gitattributes": "* filter=trap diff=trap\n", "a.py": "1\n"}, origin="")
    git(pack, "submodule", "--quiet", "add", str(inner), "lib")
    commit(pack, {})
    for repository in (pack, pack / "lib"):
        for key in (
            "filter.trap.clean",
            "filter.trap.smudge",
            "filter.trap.process",
            "core.fsmonitor",
            "diff.external",
        ):
            git(repository, "config", key, trap)
        for key in ("diff.trap.textconv", "diff.trap.command", "core.sshCommand", "core.pager", "credential.helper"):
            git(repository, "config", key, trap)
        git(repository, "config", "filter.trap.required", "true")
        hooks = Path(git(repository, "rev-parse", "--git-path", "hooks").strip())
        hooks = hooks if hooks.is_absolute() else repository / hooks
        hooks.mkdir(exist_ok=True)
        for name in ("post-index-change", "post-checkout", "reference-transaction", "pre-commit", "fsmonitor-watchman"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            (hooks / name).chmod(0o755)
        (repository / "new.py").write_text("untracked")
    (pack / "a.py").write_text("2\n")
    found = read(nodes)
    assert found.packs[0].patch
    assert found.packs[0].bundle
    given_back(found, tmp_path / "back/custom_nodes")
    assert not (tmp_path / "ran").exists()


def test_the_users_own_git_settings_change_nothing(
    nodes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = checkout(nodes / "pack", {"a.py": "1\n" * 9}, origin="https://example.com/x.git")
    (pack / "a.py").write_text("2\n" * 9)
    (pack / "notes.swp").write_text("x")
    before = read(nodes)
    settings = tmp_path / "gitconfig"
    ignore = tmp_path / "ignore"
    ignore.write_text("*.swp\n")
    settings.write_text(
        f"[diff]\n noprefix=true\n algorithm=patience\n context=9\n[core]\n excludesFile={ignore}\n"
        '[url "https://user:token@example.com/"]\n insteadOf=https://example.com/\n[status]\n showUntrackedFiles=no\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert read(nodes) == before
    assert "token" not in before.packs[0].origin


def test_a_submodule_never_fetched_is_no_change(nodes: Path, tmp_path: Path) -> None:
    inner = checkout(tmp_path / "inner", {"lib.py": "1\n"})
    pack = checkout(nodes / "pack", {"a.py": "1\n"})
    git(pack, "submodule", "--quiet", "add", str(inner), "lib")
    commit(pack, {})
    git(pack, "submodule", "--quiet", "deinit", "-f", "lib")
    git(pack, "update-ref", "refs/remotes/origin/main", "HEAD")
    found = read(nodes)
    assert not found.findings
    assert found.packs[0].submodules == ()


def test_files_with_secrets_stay_on_this_machine_and_are_told_of(nodes: Path) -> None:
    pack = checkout(nodes / "pack", {"a.py": "1\n", ".env.example": "KEY=\n", "settings.env": "tracked\n"})
    kept = {"notes.json": '{"a": 1}'}
    token = "hf_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    left = {
        **dict.fromkeys((".env", ".env.local", "sub/.env", "sub/.env.production", "id_ed25519"), "KEY=hidden-value"),
        "config.json": f'{{"token": "{token}"}}',
        "settings.env": "KEY=hidden-value",
    }
    for name, text in {**kept, **left}.items():
        (pack / name).parent.mkdir(exist_ok=True)
        (pack / name).write_text(text)
    found = read(nodes)
    patch = found.files["packs/pack.patch"]
    assert b"hidden-value" not in patch
    assert token.encode() not in patch
    assert b"notes.json" in patch
    assert tree_files(pack) == [".env.example", "a.py", "notes.json"]
    holds(found, ("local-changes", "pack"), ("secret-file-left-out", "pack"))


def test_a_commit_with_a_key_file_is_carried_only_where_a_remote_has_it(nodes: Path, tmp_path: Path) -> None:
    secret_in_the_commit(nodes / "local", tmp_path)
    files = {"a.py": "1\n", ".env": "KEY=planted-in-a-commit\n"}
    checkout(nodes / "unpushed", files, pushed=False)
    checkout(nodes / "pushed", files)
    packs = read(nodes)
    assert {pack.name: (pack.kind, bool(pack.origin)) for pack in packs.packs} == {
        "local": ("folder", False),
        "unpushed": ("folder", False),
        "pushed": ("git", True),
    }
    assert set(packs.files) == {"packs/local.tar", "packs/unpushed.tar"}
    assert not any(b"planted" in data or b"ignored.log" in data for data in packs.files.values())
    told = {item.subject: item.message for item in packs.findings if item.code == "secret-file-left-out"}
    assert "clone/.env" in told["local"]
    assert "without the commit" in told["unpushed"]


def test_unchanged_packs_are_known_and_changed_ones_are_read_again(
    nodes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = checkout(nodes / "pack", {"a.py": "1\n"})
    cache = Cache(nodes.parent / "c.sqlite3")
    first = read_packs(install_of(nodes), None, frozenset(), silent, cache)
    assert not cache.all("pack-4")  # a file changed just now, and may again
    monkeypatch.setattr("comfy_capsule.packager.snapshot.trees.pack_cache._FRESH", -1)
    assert read_packs(install_of(nodes), None, frozenset(), silent, cache) == first
    assert len(cache.all("pack-4")) == 1
    with monkeypatch.context() as patched:
        patched.setattr("comfy_capsule.packager.snapshot.trees.pack_cache.read_tree", None)
        assert read_packs(install_of(nodes), None, frozenset(), silent, cache) == first
    stat = (pack / "a.py").stat()
    (pack / "a.py").write_text("2\n")
    os.utime(pack / "a.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    again = read_packs(install_of(nodes), None, frozenset(), silent, cache)
    assert again.packs[0].patch
    with monkeypatch.context() as patched:
        patched.setattr("comfy_capsule.packager.snapshot.trees.pack_cache.read_tree", None)
        assert read_packs(install_of(nodes), None, frozenset(), silent, cache) == again
    git(pack, "checkout", "-q", "a.py")
    git(pack, "remote", "set-url", "origin", "https://example.com/moved.git")
    assert read_packs(install_of(nodes), None, frozenset(), silent, cache).packs[0].origin.endswith("moved.git")


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    place = tmp_path / "ComfyUI/custom_nodes"
    place.mkdir(parents=True)
    return place
