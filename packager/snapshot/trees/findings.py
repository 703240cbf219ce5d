"""What is to be said of a source tree: what it carries, and what stands against giving it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...capsule import Finding
from .changes import Changes
from .checkout import ReadCheckout, is_local


def checkout_findings(subject: str, read: ReadCheckout) -> list[Finding]:
    """Of a checkout and all inside it: none blocks, for what no origin gives back is carried."""
    found = [finding for path, inner in read.all() for finding in _origin_findings(subject, path, inner)]
    changed = _everywhere(read, lambda changes: changes.names)
    if changed:
        found.append(
            Finding(
                code="local-changes",
                subject=subject,
                message=f"{subject} has local changes and untracked files, which are carried: {some(changed)}.",
                cure="Look through them for what is nobody else's business, or commit them.",
            )
        )
    secret = _everywhere(read, lambda changes: changes.secret)
    if secret:
        found.append(secrets_left_out(subject, secret))
    pointers = _everywhere(read, lambda changes: changes.pointers)
    if pointers:
        found.append(
            Finding(
                code="lfs-pointer",
                subject=subject,
                message=f"The content of LFS files of {subject} was never fetched: {some(pointers)}.",
                cure="Run `git lfs pull` in it, if it needs them.",
            )
        )
    contents = _everywhere(read, lambda changes: changes.contents)
    if contents:
        found.append(
            Finding(
                code="lfs-carried",
                subject=subject,
                message=f"The content of LFS files of {subject} is carried with its local changes: {some(contents)}.",
                cure="Nothing needs to be done; the capsule is larger for it.",
            )
        )
    return found


def _everywhere(read: ReadCheckout, of: Callable[[Changes], Sequence[str]]) -> list[str]:
    """The names that `of` gives for the checkout and for each inside it, with its path."""
    return [f"{path}/{name}" if path else name for path, inner in read.all() for name in of(inner.changes)]


def _origin_findings(subject: str, path: str, read: ReadCheckout) -> Iterator[Finding]:
    what = f"The repository {path} in {subject}" if path else subject
    if not read.bundle:
        return
    if read.tokens:
        yield Finding(
            code="secret-carried",
            subject=subject,
            message=f"The commit of {what} is carried; files in it hold what looks like a secret: {some(read.tokens)}.",
            cure="Take it out of the commit, and export again before you give the capsule to anybody.",
        )
    if read.unnamed:
        yield Finding(
            code="origin-left-out",
            subject=subject,
            message=f"The address of the remote of {what} holds a secret and is not recorded; its commit is carried.",
            cure="Take the secret out of the address; git asks for it, or a credential helper has it.",
        )
    elif not read.origin:
        yield Finding(
            code="no-origin",
            subject=subject,
            message=f"{what} has no remote; its commit is carried.",
            cure="Push it to a remote.",
        )
    elif is_local(read.origin):
        yield Finding(
            code="local-origin",
            subject=subject,
            message=f"{what} comes from a folder of this machine, {read.origin}; its commit is carried.",
            cure="Push it to a remote that others reach.",
        )
    else:
        yield Finding(
            code="commit-not-pushed",
            subject=subject,
            message=f"{what} is at commit {read.commit[:12]}, which {read.origin} was not seen to have; it is carried.",
            cure="Push the commit.",
        )


def secrets_left_out(subject: str, names: Sequence[str]) -> Finding:
    """Files that hold secrets: they stay on this machine."""
    return Finding(
        code="secret-file-left-out",
        subject=subject,
        message=f"Files of {subject} that hold secrets are not carried: {some(names)}.",
        cure="Put them there again where the capsule is restored, if the pack needs them.",
    )


def unreadable(subject: str, reason: str) -> Finding:
    """A tree some of whose files could not be read: it is not carried."""
    return Finding(
        code="tree-unreadable",
        subject=subject,
        message=f"The files of {subject} cannot be read: {reason}.",
        cure="Give this user the right to read them, or repair the disk, and take the snapshot again.",
        blocks=True,
    )


def too_large(subject: str, size: int) -> Finding:
    """A tree whose own files are more than a capsule carries."""
    return Finding(
        code="too-large-to-carry",
        subject=subject,
        message=f"{subject} has {size / 2**20:,.0f} MiB of files that no origin gives back; they are not carried.",
        cure="Move model files into ComfyUI's models folder, or push the rest to a git remote.",
        blocks=True,
    )


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are; what is no text in a name is shown as ``\\udc..``."""
    shown = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
