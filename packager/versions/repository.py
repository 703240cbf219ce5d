"""The git repository of one workflow: bare, one commit a version, and nothing of its configuration is obeyed.

It may have come from a stranger, or be reached by a page that writes into ComfyUI's folders: so its configuration is
looked at before git is asked anything, this user's is switched off (but for a push, which needs the user's logins),
and hooks never run.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..capsule import GIT, GIT_ENVIRONMENT
from ..command import run_bytes, watch, without_credentials
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report

_GIT = (*GIT, "-c", "core.fsync=committed", "-c", "core.filesRefLockTimeout=1000", "-c", "gc.auto=0")
_WHO = {"NAME": "Comfy Capsule", "EMAIL": "comfy-capsule@localhost"}
_ENVIRONMENT: Mapping[str, str | None] = {
    **GIT_ENVIRONMENT,
    **dict.fromkeys(("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_DEFAULT_HASH", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")),
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "LC_ALL": "C",
}
_NOBODYS: Mapping[str, str | None] = {
    **dict.fromkeys(("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
# What `git init` writes, and what a person's `git remote add` and `git gc` use; no key of these names a program.
_HARMLESS = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|ignorecase|precomposeunicode|symlinks|logallrefupdates"
    r"|sharedrepository)|gc\..*|remote\..*\.(url|fetch)",
    re.DOTALL,
)
_REMOTE = re.compile(r"remote\.(.*)\.(?:url|fetch)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_NOTHING = "0" * 40
_PATIENCE = 20.0  # seconds for which a move of a ref is tried
_DEAD = 10.0  # seconds; git holds the lock of a ref for milliseconds, so an older one was left by a kill
_TIMEOUT = 60.0  # seconds
_LARGEST = 1 << 28  # bytes of one text: a stranger's may unpack to any size


class Commit(NamedTuple):
    """One commit: its parents, its time in seconds since 1970, and its message."""

    id: str
    parents: tuple[str, ...]
    time: int
    message: str


class Repository:
    """One bare repository. Safe with several processes; a killed one leaves at most objects that nobody names.

    Raises:
        BadInput: ``versions-unsafe`` when its configuration could make git do what nobody asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._remotes = self._checked_config()

    def refs(self) -> dict[str, str]:
        """Every branch and tag (``refs/heads/…``, ``refs/tags/…``) with its commit."""
        form = "%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)"
        found = {}
        said = self._git("for-each-ref", f"--format={form}", "refs/heads", "refs/tags").decode("utf-8", "replace")
        for line in filter(None, said.split("\n")):
            name, kind, commit, inner_kind, inner = line.split("\0")
            if "commit" in (kind, inner_kind):
                found[name] = commit if kind == "commit" else inner
        return found

    def log(self) -> list[Commit]:
        """Every commit that a branch or a tag leads to, the newest first and each before its parents."""
        words = ("log", "-z", "--date-order", "--no-show-signature", "--format=%H%x1f%P%x1f%ct%x1f%B")
        said = self._git(*words, "--branches", "--tags").decode("utf-8", "replace")
        commits = []
        for record in filter(None, said.split("\0")):
            commit, parents, seconds, message = record.split("\x1f", 3)
            commits.append(Commit(commit, tuple(parents.split()), int(seconds or 0), message))
        return commits

    def write(self, files: Mapping[str, bytes]) -> str:
        """The tree of these files, all at its top."""
        with tempfile.TemporaryDirectory(prefix="capsule-version-") as scratch:
            paths = [Path(scratch, name) for name in files]
            for path in paths:
                path.write_bytes(files[path.name])
            asked = "".join(f"{path}\n" for path in paths).encode()
            blobs = self._git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=asked).decode().split()
        lines = [f"100644 blob {blob}\t{name}\0" for name, blob in zip(files, blobs, strict=True)]
        return self._git("mktree", "-z", stdin="".join(lines).encode()).decode().strip()

    def commit(self, tree: str, parent: str, message: str) -> str:
        """A new commit of `tree` after `parent` (empty for a first one); no branch has it yet."""
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _WHO.items()}
        named = {key: os.environ.get(key) or value for key, value in who.items()}
        words = ("commit-tree", "--no-gpg-sign", tree, *(("-p", parent) if parent else ()))
        return self._git(*words, stdin=message.encode("utf-8", "replace"), more=named).decode().strip()

    def move(self, ref: str, commit: str, before: str) -> bool:
        """Let `ref` name `commit` if it still names `before` (empty: if it does not exist); whether it does now.

        Raises:
            CapsuleError: ``versions-locked`` when git cannot move it for other reasons.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._git("update-ref", ref, commit, before or _NOTHING)
                return True
            except CapsuleError as error:
                if self.refs().get(ref, "") != before:
                    return False
                if time.monotonic() > end:
                    message = f"git cannot move {ref} in {self.folder}: {error.message.splitlines()[-1]}"
                    cure = "Check the disk's free space, and that you may write there."
                    raise CapsuleError("versions-locked", message, cure) from error
            self._remove_dead_lock(ref)
            time.sleep(0.05)

    def read(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """The bytes of each (commit, file name) that is there.

        Raises:
            BadInput: ``version-damaged`` for a file that is larger than any text of a capsule.
        """
        asked = "".join(f"{commit}:{name}\n" for commit, name in wanted).encode()
        for line in self._git("cat-file", "--batch-check", stdin=asked).decode("utf-8", "replace").split("\n"):
            if line.rpartition(" ")[2].isdecimal() and int(line.rpartition(" ")[2]) > _LARGEST:
                raise BadInput("version-damaged", f"A text in {self.folder} is larger than any of a capsule.")
        said = self._git("cat-file", "--batch", stdin=asked)
        found, at = {}, 0
        for place in wanted:
            end = said.index(b"\n", at)
            head, at = said[at:end].decode("utf-8", "replace").split(" "), end + 1
            if len(head) != 3 or not head[2].isdecimal():
                continue  # `… missing`: one line, and no bytes after it
            size = int(head[2])
            if head[1] == "blob":
                found[place] = said[at : at + size]
            at += size + 1
        return found

    def push(self, remote: str, report: Report) -> None:
        """Send every branch and tag to `remote`; nothing there is overwritten.

        Logins are those that git knows by itself (a helper, an agent): none is asked for, and none is in `remote`.

        Raises:
            BadInput: ``bad-remote``, ``remote-with-login``.
            CapsuleError: ``push-failed``, with what git said.
        """
        if without_credentials(remote) != remote or ("://" in remote and "?" in remote):  # no git host needs a query
            message = "The address holds a login, which others on this machine could read."
            raise BadInput(
                "remote-with-login", message, "Leave it out, and let git's credential helper or ssh know it."
            )
        if not remote or remote.startswith("-") or remote in self._remotes:  # a configured one may lead anywhere
            message = f"{remote!r} is no address to push to."
            raise BadInput("bad-remote", message, "Give a URL or a folder, e.g. ssh://git@example.com/portrait.git.")
        more: dict[str, str | None] = {**_ENVIRONMENT}
        if "GIT_SSH_COMMAND" not in os.environ:  # never wait for a passphrase or a host key that nobody sees
            more["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
        words = ("push", "--progress", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--", remote)
        argv = (*_GIT, f"--git-dir={self.folder}", *words, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")

        def tick(said: str) -> None:
            last = re.split(r"[\r\n]+", said.strip())[-1]
            report(Progress(phase="push", item=without_credentials(last)))

        try:
            watch(argv, tick, env=more)  # where a remote may be named as a path from here
        except CapsuleError as error:
            if error.code != "command-failed":
                raise
            reasons = re.findall(r"(?:fatal|error|remote|ssh): .*| ! .*", error.message) or [error.message]
            message = f"git could not push to {remote}: {'; '.join(' '.join(each.split()) for each in reasons)}"
            cure = "Check the address and your login; what others pushed there since is not overwritten."
            raise CapsuleError("push-failed", message, cure) from error

    def _checked_config(self) -> frozenset[str]:
        """The names of the configured remotes. Raises BadInput ``versions-unsafe``."""
        config = self.folder / "config"
        if not config.is_file() or (self.folder / "commondir").exists():
            raise _unsafe(self.folder, "it is no whole bare repository")
        outside: dict[str, str | None] = {**_ENVIRONMENT, **_NOBODYS, "GIT_DIR": os.devnull}
        words = ("git", "config", "--file", str(config), "--no-includes", "--null", "--list")
        said = run_bytes(words, cwd=self.folder.parent, env=outside, timeout=_TIMEOUT).decode("utf-8", "replace")
        keys = [entry.partition("\n")[0] for entry in said.split("\0") if entry]
        for key in keys:
            if not _HARMLESS.fullmatch(key):
                raise _unsafe(self.folder, f"its configuration sets {key!r}")
        return frozenset(found[1] for key in keys if (found := _REMOTE.fullmatch(key)))

    def _remove_dead_lock(self, ref: str) -> None:
        for name in (ref, "HEAD"):  # git locks HEAD too when it names the branch
            lock = self.folder / f"{name}.lock"
            try:
                if time.time() - lock.stat().st_mtime > _DEAD:
                    lock.unlink()
            except OSError:
                continue

    def _git(self, *words: str, stdin: bytes | None = None, more: Mapping[str, str] | None = None) -> bytes:
        argv = (*_GIT, f"--git-dir={self.folder}", *words)
        environment: dict[str, str | None] = {**_ENVIRONMENT, **_NOBODYS, **(more or {})}
        return run_bytes(argv, cwd=self.folder, env=environment, stdin=stdin, timeout=_TIMEOUT)


def make_repository(folder: Path) -> Repository:
    """The repository at `folder`, made there, whole or not at all, when there is none."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        words = (*_GIT, "init", "--quiet", "--bare", "--template=", str(made))
        run_bytes(words, cwd=made, env={**_ENVIRONMENT, **_NOBODYS}, timeout=_TIMEOUT)
        (made / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.exists():
                raise
            remove_made(made)  # another process was first
    return Repository(folder)


def remove_made(folder: Path) -> None:
    """Delete a repository that nothing was written into."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def checked_name(name: str, kind: str) -> str:
    """`name` if it can be that of a branch or tag. Raises BadInput ``bad-name``. (git-check-ref-format(1))"""
    parts = name.split("/")
    odd = ".." in name or name.endswith(".") or any(not part or part.startswith(".") for part in parts)
    if odd or any(part.endswith(".lock") for part in parts) or not _NAME.fullmatch(name):
        cure = "Use letters, digits, “.”, “_”, “-” and “/”, e.g. v1.0."
        raise BadInput("bad-name", f"{name!r} is no name for a {kind}.", cure)
    return name


def _unsafe(folder: Path, why: str) -> BadInput:
    cure = "Do not use it; or, if it is yours, take that out of its file “config”."
    return BadInput("versions-unsafe", f"The repository {folder} is not used: {why}.", cure)
