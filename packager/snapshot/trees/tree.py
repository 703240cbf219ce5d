"""One source tree as the lock has it, whatever kind it is, with the bytes that must be carried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...capsule import (
    CheckoutFiles,
    Finding,
    checkout_files,
    checkout_names,
    is_checkout,
    plain_files,
    sha256_bytes,
    tree_digest,
    write_tar,
)
from ...errors import CapsuleError
from ...progress import Tick, unheard
from .checkout import read_checkout
from .findings import checkout_findings, secrets_left_out, some, too_large, unreadable

# Carried bytes are held in memory, and a patch several times over.
_MOST_CARRIED = 512 << 20


class ReadTree(BaseModel):
    """`source` holds the fields of a `Source`; `files` the carried bytes by entry name."""

    model_config = ConfigDict(frozen=True)

    source: dict[str, Any]
    findings: tuple[Finding, ...]
    files: dict[str, bytes]


def read_tree(folder: Path, subject: str, entry: str, without: Collection[str] = (), tick: Tick = unheard) -> ReadTree:
    """Read the folder `folder`: a git checkout, or plain files.

    Args:
        subject: what findings call it.
        entry: what the names of the carried entries begin with, e.g. ``packs/ComfyUI-GGUF``.
        without: names at the top that are other things than this tree.
        tick: called each time that a file is read.
    """
    findings: list[Finding] = []
    try:
        if is_checkout(folder):
            try:
                return _of_checkout(folder, subject, entry, without, tick)
            except CapsuleError as error:
                if error.code != "git-unreadable":
                    raise
                findings.append(_not_as_checkout(subject, error))
        return _of_files(folder, subject, entry, without, findings, tick)
    except OSError as error:
        findings.append(unreadable(subject, f"{error.strerror}: {error.filename}"))
        return ReadTree(source={"kind": "folder"}, findings=tuple(findings), files={})


def read_file(path: Path, subject: str, entry: str) -> ReadTree:
    """Read a pack that is the single file `path`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        found = unreadable(subject, f"{error.strerror}: {error.filename}")
        return ReadTree(source={"kind": "file"}, findings=(found,), files={})
    source = {"kind": "file", "tree": sha256_bytes(data), "carried": entry}
    return ReadTree(source=source, findings=(), files={entry: data})


def _of_checkout(folder: Path, subject: str, entry: str, without: Collection[str], tick: Tick) -> ReadTree:
    try:
        listed = checkout_files(folder, without)
    except CapsuleError as error:
        raise CapsuleError("git-unreadable", error.message.splitlines()[-1], error.cure) from error
    size = _local_bytes(folder, listed)
    if size > _MOST_CARRIED:
        return ReadTree(source={"kind": "git"}, findings=(too_large(subject, size),), files={})
    read = read_checkout(folder, listed, tick)
    exposed = [f"{path}/{name}" if path else name for path, inner in read.all() for name in inner.exposed]
    if exposed:
        among = {*checkout_names(folder, listed)}
        return _of_files(folder, subject, entry, without, [_without_commit(subject, exposed)], tick, among)
    source, files = read.entries(entry)
    source["tree"] = tree_digest(folder, checkout_names(folder, listed), tick)
    return ReadTree(source=source, findings=tuple(checkout_findings(subject, read)), files=files)


def _local_bytes(folder: Path, files: CheckoutFiles) -> int:
    inside = sum(_local_bytes(folder / path, inner) for path, inner in files.nested.items())
    return _size(folder, files.local) + inside


def _of_files(
    folder: Path,
    subject: str,
    entry: str,
    without: Collection[str],
    findings: list[Finding],
    tick: Tick,
    among: Collection[str] | None = None,
) -> ReadTree:
    """The plain files of `folder`; with `among`, those of them that have such a name."""
    names, secret = plain_files(folder, without)
    if among is not None:
        names, secret = ([name for name in found if name in among] for found in (names, secret))
    if secret:
        findings.append(secrets_left_out(subject, secret))
    size = _size(folder, names)
    if size > _MOST_CARRIED:
        return ReadTree(source={"kind": "folder"}, findings=(*findings, too_large(subject, size)), files={})
    carried = f"{entry}.tar"
    source = {"kind": "folder", "tree": tree_digest(folder, names, tick), "carried": carried}
    return ReadTree(source=source, findings=tuple(findings), files={carried: write_tar(folder, names)})


def _size(folder: Path, names: Collection[str]) -> int:
    total = 0
    for name in names:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            total += path.stat().st_size
    return total


def _without_commit(subject: str, names: Sequence[str]) -> Finding:
    return Finding(
        code="secret-file-left-out",
        subject=subject,
        message=f"No remote was seen to have the commit of {subject}, and it holds files with secrets: {some(names)}. "
        "The other files are carried as a plain folder, without the commit.",
        cure="Take them out of the commit, and push it. If the pack needs them, put them there where it is restored.",
    )


def _not_as_checkout(subject: str, error: CapsuleError) -> Finding:
    return Finding(
        code="git-unreadable",
        subject=subject,
        message=f"{error.message} {subject} is carried as a plain folder.",
        cure="Repair the checkout.",
    )
