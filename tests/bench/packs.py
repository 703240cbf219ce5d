"""Packs for tests: each a real git repository with a bare origin beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .git import commit_all, git, publish

SOURCES = Path(__file__).with_name("custom_nodes")


@dataclass(frozen=True)
class Commit:
    """Files to write (text, bytes, or None to delete) by path, and what is said about them."""

    message: str
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    tag: str = ""


@dataclass(frozen=True)
class Pack:
    """A published pack: `commits` oldest first."""

    name: str
    origin: Path
    commits: tuple[str, ...]

    @property
    def url(self) -> str:
        return self.origin.as_uri()


def build_pack(origins: Path, name: str, *commits: Commit) -> Pack:
    """Publish a pack of these commits as ``origins/NAME.git``. The same commits give the same ids."""
    origin = origins.absolute() / f"{name}.git"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        git("init", "--quiet", cwd=tree)
        made = []
        for commit in commits:
            for path, content in commit.files.items():
                _write(tree / path, content)
            made.append(commit_all(tree, commit.message, commit.tag))
        publish(tree, origin)
    return Pack(name, origin, tuple(made))


def clone_pack(pack: Pack, custom_nodes: Path, commit: str = "") -> Path:
    """Clone `pack` below `custom_nodes`, at its newest commit or detached at `commit`; returns its folder."""
    folder = custom_nodes / pack.name
    git("clone", "--quiet", pack.url, folder, cwd=custom_nodes)
    if commit:
        git("checkout", "--quiet", "--detach", commit, cwd=folder)
    return folder


def bench_packs() -> tuple[str, ...]:
    """The names of the bench's own packs: the folders in ``custom_nodes`` beside this file."""
    return tuple(sorted(path.name for path in SOURCES.iterdir() if path.is_dir()))


def build_bench_pack(origins: Path, name: str) -> Pack:
    """Publish one of the bench's own packs, in two commits: its README, then the whole at tag ``v1.0.0``."""
    source = SOURCES / name
    files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return build_pack(
        origins,
        name,
        Commit("Say what this pack is for", {"README.md": files["README.md"]}),
        Commit("First nodes", files, tag="v1.0.0"),
    )


def _write(path: Path, content: str | bytes | None) -> None:
    if content is None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
