"""Git as the bench uses it: the same content always gives the same commit, whoever's machine it is."""

from __future__ import annotations

import os
from pathlib import Path

from comfy_capsule.packager.command import run

_WHO = {"NAME": "Bench", "EMAIL": "bench@example.invalid", "DATE": "2026-01-01T00:00:00+0000"}
_ENV = {
    **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _WHO.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_SETTINGS = ("init.defaultBranch=master", "core.autocrlf=false", "commit.gpgSign=false", "gc.auto=0")


def git(*words: str | Path, cwd: Path) -> str:
    """Standard output of ``git words``, run with the bench's author, date and settings and nobody's own."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return run(["git", *settings, *words], cwd=cwd, env=_ENV).strip()


def commit_all(tree: Path, message: str, tag: str = "") -> str:
    """Commit every file of `tree`, ignored ones too; returns the commit."""
    git("add", "--all", "--force", ".", cwd=tree)
    git("commit", "--quiet", "--no-verify", "--allow-empty", "-m", message, cwd=tree)
    if tag:
        git("tag", tag, cwd=tree)
    return git("rev-parse", "HEAD", cwd=tree)


def publish(tree: Path, origin: Path) -> None:
    """Make `origin` a bare repository of `tree` that gives out any commit by its name, as the big hosts do."""
    origin.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "--quiet", "--bare", tree, origin, cwd=tree)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=origin)
    git("config", "uploadpack.allowFilter", "true", cwd=origin)
    git("remote", "remove", "origin", cwd=origin)
