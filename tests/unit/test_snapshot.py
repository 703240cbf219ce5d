"""The snapshot: packs and ComfyUI as git has them, the wheel that is really installed, models by content."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from bench.installs import install_at
from comfy_capsule.packager.capsule import environment_digest, lock_toml, tree_digest, tree_files
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import snapshot_install
from comfy_capsule.packager.snapshot.packs import read_packs
from comfy_capsule.packager.snapshot.trees.checkout import read_checkout

ROOT = Path(__file__).parents[2]


def git(folder: Path, *words: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    done = subprocess.run(["git", *words], cwd=folder, env={**os.environ, **identity}, check=True, capture_output=True)
    return done.stdout.decode()


def checkout(folder: Path, files: dict[str, str], origin: str = "https://user:token@example.com/x.git") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    if origin:
        git(folder, "remote", "add", "origin", origin)
    return folder


@pytest.fixture
def install(tmp_path: Path) -> Install:
    root = checkout(tmp_path / "ComfyUI", {"main.py": "", ".gitignore": "/custom_nodes/\n/models/\n/input/\n"})
    for folder in ("custom_nodes", "models/upscale_models", "models/loras", "input"):
        (root / folder).mkdir(parents=True)
    return install_at(
        root,
        site_packages=(tmp_path / "site-packages",),
        model_folders={"upscale_models": (root / "models/upscale_models",), "loras": (root / "models/loras",)},
    )


def test_clean_checkout_has_commit_origin_without_token_and_no_patch(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "pack", {"a.py": "x"})
    read = read_checkout(folder)
    assert read.commit == git(folder, "rev-parse", "HEAD").strip()
    assert read.origin == "https://example.com/x.git"
    assert read.changes.patch == b""


def test_local_changes_are_one_patch_that_gives_the_same_tree(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "pack", {"a.py": "one\n", "gone.py": "x\n", ".gitignore": "*.log\n", "run.sh": "x\n"})
    clean = tmp_path / "clean"
    git(tmp_path, "clone", "-q", str(folder), str(clean))
    (folder / "a.py").write_bytes(b"two\r\n\xff")
    (folder / "gone.py").unlink()
    (folder / "run.sh").chmod(0o755)
    (folder / "new é.bin").write_bytes(bytes(range(256)))
    (folder / "link").symlink_to("a.py")
    (folder / "ignored.log").write_text("no")
    (folder / ".env").write_text("TOKEN=secret")
    (folder / ".env.local").write_text("TOKEN=secret")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/a.pyc").write_bytes(b"no")
    before = sorted(str(path) for path in folder.rglob("*"))
    index = (folder / ".git/index").read_bytes()
    read = read_checkout(folder)
    assert sorted(str(path) for path in folder.rglob("*")) == before
    assert (folder / ".git/index").read_bytes() == index
    assert b"secret" not in read.changes.patch
    assert read.changes.names == ("a.py", "gone.py", "link", "new é.bin", "run.sh")
    patch = tmp_path / "p.patch"
    patch.write_bytes(read.changes.patch)
    git(clean, "apply", "--binary", str(patch))
    assert tree_digest(clean, tree_files(clean)) == tree_digest(folder, tree_files(folder))


def test_hooks_and_monitors_of_a_checkout_do_not_run(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "pack", {"a.py": "x"})
    (folder / "a.py").write_text("y")
    for hook in ("post-index-change", "pre-commit"):
        (folder / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (folder / ".git/hooks" / hook).chmod(0o755)
    git(folder, "config", "core.fsmonitor", f"touch {tmp_path}/ran; false")
    assert read_checkout(folder).changes.patch
    assert not (tmp_path / "ran").exists()


def test_a_changed_pack_carries_its_patch(install: Install) -> None:
    folder = checkout(install.custom_nodes[0] / "one", {"__init__.py": ""})
    (folder / "new.py").write_text("new")
    read = read_packs(install, None, frozenset(), silent)
    assert read.packs[0].patch == "packs/one.patch"
    assert b"new.py" in read.files["packs/one.patch"]
    assert [(item.code, item.blocks) for item in read.findings] == [
        ("commit-not-pushed", False),
        ("local-changes", False),
    ]
    assert "new.py" in read.findings[1].message


def test_same_install_gives_the_same_lock_wherever_it_stands(install: Install, tmp_path: Path) -> None:
    checkout(install.custom_nodes[0] / "one", {"__init__.py": ""})
    first = snapshot_install(install)
    assert snapshot_install(install) == first
    moved = tmp_path / "elsewhere"
    install.root.rename(moved)
    again = snapshot_install(
        install.model_copy(
            update={
                "root": moved,
                "custom_nodes": (moved / "custom_nodes",),
                "input_dir": moved / "input",
                "model_folders": {"loras": (moved / "models/loras",)},
            }
        )
    )
    assert lock_toml(again.lock) == lock_toml(first.lock)
    assert environment_digest(again.lock, again.pylock) == environment_digest(first.lock, first.pylock)


def test_every_finding_is_documented() -> None:
    files = [path for name in ("snapshot", "vendor", "others") for path in (ROOT / "packager" / name).rglob("*.py")]
    files += [ROOT / "packager/export.py", ROOT / "packager/hiding.py"]
    source = "".join(path.read_text() for path in files)
    said = r'(?:code=|_finding\(|Absent\(|_carry\(locked, item, )"([a-z-]+)"'
    codes = set(re.findall(said, source)) | {"git-unreadable", "file-changing"}
    documented = set(re.findall(r"^\| `([a-z-]+)`", (ROOT / "docs/findings.md").read_text(), re.MULTILINE))
    assert len(codes) >= 9
    assert codes == documented
