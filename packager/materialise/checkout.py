"""One git source tree at one exact commit, fetched from its origin and proved equal to what the lock says."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..capsule import GIT, GIT_ENVIRONMENT, tree_digest, tree_files
from ..command import run, without_credentials
from ..errors import BadInput, CapsuleError

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")

# What git may do for a stranger's capsule: fetch over the ordinary transports (never ``ext::``), and write
# bytes as they are in the commit: no content filter (LFS keeps its pointer file), no line-end conversion, no
# attributes of this machine's owner. `GIT` switches hooks and monitors off.
_GIT = (
    *GIT,
    "-c", "filter.lfs.smudge=",
    "-c", "filter.lfs.process=",
    "-c", "filter.lfs.required=false",
    "-c", "core.autocrlf=false",
    "-c", f"core.attributesFile={os.devnull}",
    "-c", "advice.detachedHead=false",
    "-c", "gc.auto=0",
)  # fmt: skip
_ENVIRONMENT = {
    **GIT_ENVIRONMENT,
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}


def check_out(
    subject: str, origin: str, commit: str, tree: str, into: Path, *, patch: bytes | None, with_git: bool
) -> None:
    """Make `into` the checkout of `commit` from `origin`, `patch` applied, with `tree` as its digest.

    Args:
        subject: what errors call it, e.g. ``the pack 'ComfyUI-GGUF'``.
        tree: the digest that the files must have; empty when the lock has none.
        patch: as ``git diff --binary`` writes it, or None.
        with_git: keep ``.git`` (shallow, detached, remote ``origin``), or leave the bare files.

    Raises:
        BadInput: ``capsule-bad-origin`` for an origin or commit that is none.
        CapsuleError: ``origin-gone``, ``commit-gone``, ``submodule-gone``, ``patch-failed``,
            ``tree-differs``.
    """
    if not _COMMIT.match(commit) or not origin or origin.startswith("-"):
        raise BadInput(
            "capsule-bad-origin",
            f"The lock says {without_credentials(origin)!r} at {commit!r} for {subject}: "
            "that is no git origin and commit.",
            "Export the capsule again.",
        )
    into.mkdir(parents=True)
    _git(into, "init", "--quiet", "--template=")
    _git(into, "remote", "add", "origin", "--", origin)
    _fetch(subject, origin, commit, into)
    _git(into, "checkout", "--quiet", "--detach", commit)
    _submodules(subject, into)
    if patch is not None:
        _apply(subject, patch, into)
    _prove(subject, commit, tree, into)
    if not with_git:
        _remove_git(into)


def _fetch(subject: str, origin: str, commit: str, into: Path) -> None:
    """The one commit if the remote gives it by name, else everything that it has."""
    try:
        _git(into, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit)
        return
    except CapsuleError:
        pass  # not every remote gives a commit that no branch or tag names; the full fetch says what is wrong
    try:
        heads, tags = "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"
        _git(into, "fetch", "--quiet", "--no-tags", "origin", heads, tags)
    except CapsuleError as error:
        raise CapsuleError(
            "origin-gone",
            f"The origin of {subject}, {without_credentials(origin)}, cannot be fetched: {_reason(error)}",
            "Check the address, the network and your access, or ask for a sealed capsule.",
        ) from error
    try:
        _git(into, "cat-file", "-e", f"{commit}^{{commit}}")
    except CapsuleError as error:
        raise CapsuleError(
            "commit-gone",
            f"The origin of {subject}, {without_credentials(origin)}, no longer has commit {commit}.",
            "Ask for a sealed capsule, which carries its own bytes.",
        ) from error


def _submodules(subject: str, into: Path) -> None:
    """Fetch submodules, if there are any, at the commits that the tree itself pins."""
    if not (into / ".gitmodules").is_file():
        return
    try:
        _git(into, "submodule", "--quiet", "update", "--init", "--recursive", "--checkout")
    except CapsuleError as error:
        raise CapsuleError(
            "submodule-gone",
            f"A submodule of {subject} cannot be fetched: {_reason(error)}",
            "Check the network and your access to the submodule's address.",
        ) from error


def _apply(subject: str, patch: bytes, into: Path) -> None:
    file = into / ".git" / "capsule.patch"  # a file, not text on stdin: a patch holds bytes of any encoding
    file.write_bytes(patch)
    try:
        _git(into, "apply", "--binary", "--whitespace=nowarn", str(file))
    except CapsuleError as error:
        raise CapsuleError(
            "patch-failed",
            f"The local changes of {subject} do not apply: {_reason(error)}",
            "Export the capsule again.",
        ) from error
    finally:
        file.unlink()


def _prove(subject: str, commit: str, tree: str, into: Path) -> None:
    head = _git(into, "rev-parse", "HEAD").strip()
    found = tree_digest(into, tree_files(into))
    if head != commit or (tree and found != tree):
        raise CapsuleError(
            "tree-differs",
            f"{subject[0].upper()}{subject[1:]} at commit {commit[:12]} has other files than the capsule "
            f"says (tree {found[:12]}, expected {tree[:12]}).",
            "The captured folder had changes that the capsule does not carry; export it again.",
        )


def _remove_git(into: Path) -> None:
    for folder, folders, files in os.walk(into):
        if ".git" in folders:
            remove_tree(Path(folder) / ".git")
            folders.remove(".git")
        if ".git" in files:  # a submodule's pointer into the top .git
            (Path(folder) / ".git").unlink()


def remove_tree(folder: Path) -> None:
    """Delete `folder` whole, also the read-only files that git keeps objects in on Windows."""

    def writable(function: Callable[[str], Any], path: str, _: object) -> None:
        os.chmod(path, stat.S_IRWXU)
        function(path)

    shutil.rmtree(folder, onerror=writable)


def _git(folder: Path, *words: str) -> str:
    if "GIT_SSH_COMMAND" in os.environ:
        environment = _ENVIRONMENT
    else:  # never wait for a passphrase or a host key that nobody sees
        environment = {**_ENVIRONMENT, "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    return run([*_GIT, *words], cwd=folder, env=environment)


def _reason(error: CapsuleError) -> str:
    """The line in which git says why."""
    found = re.search(r"(?:fatal|error): (.*)", error.message)
    return without_credentials(found[1] if found else error.message.splitlines()[-1])
