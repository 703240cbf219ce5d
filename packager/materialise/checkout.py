"""One git checkout at one exact commit, with its local changes, out of its origin or out of the capsule."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..capsule import AS_CHECKED_OUT, AS_STORED, BUNDLE_REF, GIT, GIT_ENVIRONMENT, LINE_ENDS, Checkout, Vendored
from ..command import run_bytes, without_credentials
from ..errors import BadInput, CapsuleError

_BUNDLE = ".git/capsule.bundle"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")

# What git may do for a stranger's capsule: fetch over the ordinary transports (never ``ext::``). `GIT` switches hooks
# and monitors off, and `AS_CHECKED_OUT` the filters, which are programs (LFS keeps its pointer files).
_GIT = (*GIT, "-c", "advice.detachedHead=false", "-c", "gc.auto=0")
_ENVIRONMENT: Mapping[str, str | None] = {
    **GIT_ENVIRONMENT,
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}


def check_out(
    subject: str,
    said: Checkout,
    into: Path,
    files: Mapping[str, bytes],
    vendored: Mapping[str, Vendored] = MappingProxyType({}),
) -> None:
    """Make `into` the checkout that the lock says: its commit, its line ends, its local changes.

    It is an ordinary one: shallow, detached, remote ``origin``. Checkouts inside it are not made here.

    Args:
        subject: what errors call it, e.g. ``the pack 'ComfyUI-GGUF'``.
        files: the capsule's, by entry name.
        vendored: its git bundles, by commit; the origin is not asked for what they hold.

    Raises:
        BadInput: ``capsule-bad-origin`` for an origin or commit that is none; as `Vendored.chunks`.
        CapsuleError: ``origin-gone``, ``commit-gone``, ``patch-failed``, ``checkout-failed``.
    """
    new_repository(subject, said, into)
    if said.bundle:
        (into / _BUNDLE).write_bytes(files[said.bundle])
        _unbundle(subject, said.commit, into)
    elif said.commit in vendored:
        vendored[said.commit].write_to(into / _BUNDLE)
        _unbundle(subject, said.commit, into)
        # The origin did have it, which is why the capsule does not carry it: as after a fetch from there.
        (into / ".git/FETCH_HEAD").write_text(f"{said.commit}\t\t'{said.commit}' of {said.origin}\n")
    else:
        fetch_commit(subject, said.origin, said.commit, into)
    for setting in LINE_ENDS[said.line_ends][1::2]:  # for git's next look at these files too
        _git(into, "config", *setting.split("="))
    try:
        with _attributes(into, AS_CHECKED_OUT):
            _git(into, "checkout", "--quiet", "--detach", said.commit)
    except CapsuleError as error:
        message = f"git cannot check out {subject}: {_reason(error)}"
        raise CapsuleError("checkout-failed", message, "Export the capsule again.") from error
    if said.patch:
        _apply(subject, files[said.patch], into)


def new_repository(subject: str, said: Checkout, into: Path) -> None:
    """Make `into` an empty repository with the remote ``origin`` that the lock says.

    Raises:
        BadInput: ``capsule-bad-origin`` for an origin or commit that is none.
    """
    if not _COMMIT.match(said.commit) or said.origin.startswith("-") or not (said.origin or said.bundle):
        raise BadInput(
            "capsule-bad-origin",
            f"The lock says {without_credentials(said.origin)!r} at {said.commit!r} for {subject}: "
            "that is no git origin and commit.",
            "Export the capsule again.",
        )
    into.mkdir(parents=True, exist_ok=True)
    _git(into, "init", "--quiet", "--template=", f"--object-format={'sha1' if len(said.commit) == 40 else 'sha256'}")
    if said.origin:
        _git(into, "remote", "add", "origin", "--", said.origin)


@contextmanager
def _attributes(checkout: Path, text: str) -> Iterator[None]:
    """In this block these attributes come before those of the tree."""
    file = checkout / ".git/info/attributes"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    yield
    file.unlink()


def _unbundle(subject: str, commit: str, into: Path) -> None:
    file = into / _BUNDLE
    (into / ".git/shallow").write_text(f"{commit}\n")  # its parents are not in the bundle
    try:
        _git(into, "fetch", "--quiet", "--no-tags", str(file), BUNDLE_REF)
        _git(into, "cat-file", "-e", f"{commit}^{{commit}}")
    except CapsuleError as error:
        message = f"The capsule's bundle does not hold commit {commit} of {subject}: {_reason(error)}"
        raise CapsuleError("commit-gone", message, "Export the capsule again.") from error
    finally:
        file.unlink()
        (into / ".git/FETCH_HEAD").unlink(missing_ok=True)  # it would say that a remote has the commit


def fetch_commit(subject: str, origin: str, commit: str, into: Path) -> None:
    """The one commit if the remote gives it by name, else everything that it has.

    Raises:
        CapsuleError: ``origin-gone``, ``commit-gone``.
    """
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


def _apply(subject: str, patch: bytes, into: Path) -> None:
    """Apply `patch`, which is of files as git stores them: those it changes are first put back into that form."""
    file = into / ".git" / "capsule.patch"
    file.write_bytes(patch)
    try:
        with _attributes(into, AS_STORED):
            counted = _git(into, "apply", "--numstat", "-z", str(file)).split(b"\0")
            touched = {line.split(b"\t", 2)[2] for line in counted if line.count(b"\t") >= 2}
            staged = (line.partition(b"\t") for line in _git(into, "ls-files", "-z", "--stage").split(b"\0"))
            known = touched & {name for facts, _, name in staged if not facts.startswith(b"160000")}
            for name in known:
                (into / os.fsdecode(name)).unlink(missing_ok=True)
            _git(into, "checkout-index", "-z", "--stdin", stdin=_lines(known))
            _git(into, "apply", "--binary", "--whitespace=nowarn", str(file))
            # What the tree's own .gitignore names is part of the tree only if git tracks it, as it did.
            ignored = _git(into, "ls-files", "-z", "--others", "--ignored", "--exclude-standard").split(b"\0")
            _git(into, "update-index", "-z", "--add", "--stdin", stdin=_lines(touched.intersection(ignored)))
    except (CapsuleError, OSError) as error:
        reason = _reason(error) if isinstance(error, CapsuleError) else str(error)
        message = f"The local changes of {subject} do not apply: {reason}"
        raise CapsuleError("patch-failed", message, "Export the capsule again.") from error
    finally:
        file.unlink()


def _lines(names: Iterable[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in sorted(names) if name)


def tagged_commit(origin: str, tag: str) -> str:
    """The commit that the tag `tag` of the remote `origin` names today; empty where it has no such tag.

    Raises:
        CapsuleError: ``origin-gone``.
    """
    names = (f"refs/tags/{tag}^{{}}", f"refs/tags/{tag}")  # what an annotated tag stands for comes first
    try:
        with tempfile.TemporaryDirectory() as nowhere:
            answer = _git(Path(nowhere), "ls-remote", "--quiet", "--", origin, *names)
    except CapsuleError as error:
        message = f"The origin {without_credentials(origin)} cannot be asked for {tag!r}: {_reason(error)}"
        raise CapsuleError("origin-gone", message, "Check the address, the network and your access.") from error
    found = {name: commit for commit, _, name in (line.partition("\t") for line in answer.decode().splitlines())}
    return next((found[name] for name in names if _COMMIT.match(found.get(name, ""))), "")


def remove_git(into: Path) -> None:
    """Take git's own files out of the tree `into`, and out of the checkouts inside it."""
    for folder, folders, files in os.walk(into):
        if ".git" in folders:
            remove_tree(Path(folder) / ".git")
            folders.remove(".git")
        if ".git" in files:
            (Path(folder) / ".git").unlink()


def remove_tree(folder: Path) -> None:
    """Delete `folder` whole, also the read-only files that git keeps objects in on Windows."""

    def writable(function: Callable[[str], Any], path: str, _: object) -> None:
        os.chmod(path, stat.S_IRWXU)
        function(path)

    shutil.rmtree(folder, onerror=writable)


def _git(folder: Path, *words: str, stdin: bytes | None = None) -> bytes:
    environment = _ENVIRONMENT
    if "GIT_SSH_COMMAND" not in os.environ:  # never wait for a passphrase or a host key that nobody sees
        environment = {**_ENVIRONMENT, "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    return run_bytes([*_GIT, *words], cwd=folder, env=environment, stdin=stdin)


def _reason(error: CapsuleError) -> str:
    """The line in which git says why."""
    found = re.search(r"(?:fatal|error): (.*)", error.message)
    return without_credentials(found[1] if found else error.message.splitlines()[-1])
