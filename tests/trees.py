"""Packs with every kind of trouble, as real git repositories and folders, and reading and giving them back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.installs import install_at
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import Pack
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.materialise.tree import make_tree
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.packs import Packs, read_packs

IDENTITY = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ORIGIN = "https://example.com/x.git"
TOKEN = "ghp_" + "A1b2C3d4E5" * 4
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 9\n"


def git(folder: Path, *words: str) -> str:
    options = ("-c", "protocol.file.allow=always", "-c", "core.autocrlf=false")
    environment = {**os.environ, **IDENTITY}
    return subprocess.run(
        ["git", *options, *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def checkout(folder: Path, files: dict[str, str | bytes], *, origin: str = ORIGIN, pushed: bool = True) -> Path:
    """A checkout with one commit; `pushed` makes it look like one that was fetched from `origin`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, files)
    if origin:
        git(folder, "remote", "add", "origin", origin)
    if origin and pushed:
        git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


def commit(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")


def install_of(*roots: Path) -> Install:
    root = roots[0].parent
    return install_at(root, custom_nodes=roots)


def read(*roots: Path) -> Packs:
    """Read twice, the second time out of the cache where that has it: both must say the same."""
    cache = Cache(roots[0].parent.parent / "cache.sqlite3")
    found = read_packs(install_of(*roots), None, frozenset(), silent, cache)
    assert read_packs(install_of(*roots), None, frozenset(), silent, cache) == found
    return found


def given_back(packs: Packs, into: Path) -> Packs:
    """Make every pack anew, with nothing but the capsule's own bytes, and read what was made."""
    for pack in packs.packs:
        make_tree(pack.name, pack, into / pack.path, packs.files, with_git=True)
    return read(into)


def bare(pack: Pack) -> Pack:
    return pack.model_copy(update={"patch": "", "bundle": "", "carried": ""})


def holds(packs: Packs, *expected: tuple[str, str]) -> None:
    assert {(item.code, item.subject) for item in packs.findings} == set(expected)
    assert all(item.cure and item.message for item in packs.findings)


def no_origin(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n", "sub/b.py": "2\n"}, origin="")
    commit(folder, {"a.py": "second\n"})


def local_origin(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n"}, origin=str(folder.parent / "gone.git"))


def helper_remote(folder: Path, aside: Path) -> None:
    """A remote that is a command of its owner's; what it fetched once, nobody else can."""
    checkout(folder, {"a.py": "1\n"}, origin="ext::sh -c 'curl --header planted'")


def token_in_the_commit(folder: Path, aside: Path) -> None:
    """The files of today have it no more."""
    checkout(folder, {"a.py": "1\n", "sub/config.py": f"key = '{TOKEN}'\n"}, origin="")
    (folder / "sub/config.py").write_text("key = None\n")


def token_in_the_address(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n"}, origin=f"ssh://{TOKEN}@example.com/x.git#{TOKEN}")


def unpushed(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n"})
    commit(folder, {"a.py": "mine\n", "bin": bytes(range(256))})


def unpushed_and_tagged(folder: Path, aside: Path) -> None:
    unpushed(folder, aside)
    git(folder, "tag", "v2")


def detached(folder: Path, aside: Path) -> None:
    unpushed(folder, aside)
    git(folder, "checkout", "-q", "--detach")


def shallow(folder: Path, aside: Path) -> None:
    source = checkout(aside / "source", {"a.py": "1\n"})
    commit(source, {"a.py": "2\n"})
    folder.parent.mkdir(exist_ok=True)
    git(folder.parent, "clone", "-q", "--depth=1", f"file://{source}", folder.name)
    (folder / "new.py").write_text("local")


def changed(folder: Path, aside: Path) -> None:
    checkout(
        folder,
        {"a.py": "1\n", "gone.py": "x", "old name.py": "long enough to be a rename\n" * 5, "run.sh": "x"},
        origin="",
    )
    (folder / "a.py").write_bytes(b"two\r\n\xff")
    (folder / "gone.py").unlink()
    (folder / "old name.py").rename(folder / "new é name.py")
    (folder / "run.sh").chmod(0o755)
    (folder / "new.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "link").symlink_to("a.py")
    (folder / "empty").touch()


def staged_but_ignored(folder: Path, aside: Path) -> None:
    checkout(folder, {".gitignore": "*.log\n", "a.py": "1\n"}, origin="")
    (folder / "kept.log").write_text("added by hand")
    (folder / "lost.log").write_text("ignored")
    git(folder, "add", "-f", "kept.log")


def out_of_the_index(folder: Path, aside: Path) -> None:
    checkout(folder, {".gitignore": "*.log\n", "a.py": "1\n"}, origin="")
    (folder / "b.log").write_text("x")
    git(folder, "add", "-f", "b.log")
    git(folder, "commit", "-qm", "with b")
    git(folder, "rm", "-q", "--cached", "b.log")


def secret_in_the_commit(folder: Path, aside: Path) -> None:
    """The commit is nowhere else, and would bring the secret of the repository inside it along."""
    checkout(folder, {".gitignore": "*.log\n", "a.py": "1\n", "sub/b.py": "1\n"}, origin="")
    checkout(folder / "clone", {"inner.py": "1\n", ".env": "KEY=planted-in-a-commit\n"}, origin="")
    git(folder / "clone", "rm", "-q", ".env")
    (folder / "ignored.log").write_text("x")


def hidden_change(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n", "b.py": "1\n"}, origin="")
    git(folder, "update-index", "--assume-unchanged", "a.py")
    git(folder, "update-index", "--skip-worktree", "b.py")
    for name in ("a.py", "b.py"):
        (folder / name).write_text("changed\n")


def crlf_by_user(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n2\n", "b.py": "1\n", "mixed.py": "1\n2\n"}, origin="")
    git(folder, "config", "core.autocrlf", "true")
    for name in ("a.py", "b.py"):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    (folder / "mixed.py").write_bytes(b"1\r\n2\n")


def crlf_by_attributes(folder: Path, aside: Path) -> None:
    checkout(
        folder, {".gitattributes": "*.bat eol=crlf\n*.py text=auto\n", "a.bat": "1\r\n2\r\n", "b.py": "1\n"}, origin=""
    )
    (folder / "b.py").write_bytes(b"1\r\n")
    (folder / "c.bat").write_bytes(b"new\n")


def lfs_content(folder: Path, aside: Path) -> None:
    checkout(folder, {".gitattributes": "*.bin filter=lfs -text\n", "a.bin": POINTER, "b.bin": POINTER}, origin="")
    (folder / "a.bin").write_bytes(b"content\0\r\n")


def submodules(folder: Path, aside: Path) -> None:
    deep = checkout(aside / "deep", {"deep.py": "1\n"})
    inner = checkout(aside / "inner", {"lib.py": "1\n"})
    git(inner, "submodule", "--quiet", "add", str(deep), "deep")
    commit(inner, {})
    checkout(folder, {"a.py": "1\n"}, origin="")
    git(folder, "submodule", "--quiet", "add", str(inner), "lib")
    git(folder, "submodule", "--quiet", "add", str(deep), "never")
    commit(folder, {"b.py": "1\n"})
    git(folder, "submodule", "--quiet", "update", "--init", "--recursive")
    git(folder, "submodule", "--quiet", "deinit", "-f", "never")
    (folder / "lib/lib.py").write_text("changed\n")
    (folder / "lib/deep/new.py").write_text("untracked\n")
    commit(folder / "lib/deep", {"deep.py": "ahead of its pin\n"})


def nested_repository(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n"}, origin="")
    checkout(folder / "clone", {"inner.py": "1\n"}, origin="")


def submodule_by_hand(folder: Path, aside: Path) -> None:
    inner = checkout(aside / "inner", {"lib.py": "1\n"})
    checkout(folder, {"a.py": "1\n"}, origin="")
    git(folder, "submodule", "--quiet", "add", str(inner), "lib")
    commit(folder, {})
    git(folder, "submodule", "--quiet", "deinit", "-f", "lib")
    (folder / "lib/lib.py").write_text("unpacked from a zip\n")


def link_for_folder(folder: Path, aside: Path) -> None:
    checkout(folder, {"d/x.py": "1\n", "e": "a file\n"}, origin="")
    shutil.rmtree(folder / "d")
    (folder / "d").symlink_to("/nowhere")
    (folder / "e").unlink()
    (folder / "e").mkdir()
    (folder / "e/inner.py").write_text("now a folder\n")


def worktree(folder: Path, aside: Path) -> None:
    main = checkout(aside / "main", {"a.py": "1\n"}, origin="")
    git(main, "worktree", "add", "-q", "--detach", str(folder))
    (folder / "a.py").write_text("2\n")


def odd_names(folder: Path, aside: Path) -> None:
    checkout(folder, {"a\nb.py": "1\n", "tab\t.py": "1\n", '"quoted".py': "1\n", "what?.py": "1\n"}, origin="")
    (folder / "a\nb.py").write_text("changed\n")
    (folder / os.fsdecode(b"caf\xe9.py")).write_text("latin\n")


def plain(folder: Path, aside: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text("x")
    (folder / "sub/run.sh").write_text("x")
    (folder / "sub/run.sh").chmod(0o755)
    (folder / "sub/link").symlink_to("../__init__.py")
    (folder / "what?.txt").write_text("x")
    (folder / "venv").mkdir()
    (folder / "venv/big").write_text("left out")
    (folder / ".env").write_text("SECRET=1")
    os.mkfifo(folder / "pipe")


def registry(folder: Path, aside: Path) -> None:
    folder.mkdir()
    (folder / ".tracking").write_text("__init__.py\npyproject.toml")
    (folder / "__init__.py").write_text("x")
    (folder / "pyproject.toml").write_text('[project]\nname = "ComfyUI-Thing"\nversion = "1.2.3"\n')


def without_commit(folder: Path, aside: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.py").write_text("1")


def corrupt(folder: Path, aside: Path) -> None:
    checkout(folder, {"a.py": "1\n"})
    (folder / ".git/HEAD").write_text("nonsense")


def theirs(folder: Path, aside: Path) -> None:
    """A pack whose ``.git`` points into another repository of this user."""
    private = checkout(aside / "private", {"secret.py": "private\n"}, origin="")
    folder.mkdir()
    (folder / ".git").write_text(f"gitdir: {private}/.git\n")
    (folder / "a.py").write_text("1\n")


KINDS: list[tuple[Callable[[Path, Path], None], set[str]]] = [
    (no_origin, {"no-origin"}),
    (local_origin, {"local-origin"}),
    (helper_remote, {"no-origin"}),
    (token_in_the_commit, {"no-origin", "local-changes", "secret-carried"}),
    (token_in_the_address, {"origin-left-out"}),
    (unpushed, {"commit-not-pushed"}),
    (unpushed_and_tagged, {"commit-not-pushed"}),
    (detached, {"commit-not-pushed"}),
    (shallow, {"local-origin", "local-changes"}),
    (changed, {"no-origin", "local-changes"}),
    (staged_but_ignored, {"no-origin", "local-changes"}),
    (out_of_the_index, {"no-origin"}),
    (secret_in_the_commit, {"secret-file-left-out"}),
    (hidden_change, {"no-origin", "local-changes"}),
    (crlf_by_user, {"no-origin", "local-changes"}),
    (crlf_by_attributes, {"no-origin", "local-changes"}),
    (lfs_content, {"no-origin", "local-changes", "lfs-carried", "lfs-pointer"}),
    (submodules, {"no-origin", "local-origin", "local-changes"}),
    (nested_repository, {"no-origin"}),
    (submodule_by_hand, {"no-origin", "local-changes"}),
    (link_for_folder, {"no-origin", "local-changes"}),
    (worktree, {"no-origin", "local-changes"}),
    (odd_names, {"no-origin", "local-changes"}),
    (plain, {"secret-file-left-out"}),
    (registry, set()),
    (without_commit, {"git-unreadable"}),
    (corrupt, {"git-unreadable"}),
    (theirs, set()),
]
