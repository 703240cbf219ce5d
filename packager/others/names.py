"""Names and addresses out of a stranger's file: which folder a pack goes into, and whether it can be had at all."""

from __future__ import annotations

import re

from ..capsule import Finding, safe_name
from ..command import without_credentials
from ..errors import BadInput
from .findings import left_out, named_only
from .models import NamedPack

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_REMOTE = re.compile(r"(?:https?|git|ssh)://[^\s/-][^\s]*\Z|[\w.-]+@[\w.-]+:[^\s-][^\s]*\Z")
_LOCAL = re.compile(r"(?:file://)?/[^\s].*\Z")


def is_commit(text: str) -> bool:
    """Whether `text` is a commit, in full."""
    return bool(_COMMIT.match(text))


def is_remote(origin: str) -> bool:
    """Whether `origin` is an address of a host, and not a folder of this machine or a helper of git's."""
    return bool(_REMOTE.match(origin))


def is_local(origin: str) -> bool:
    """Whether `origin` is a folder of this machine."""
    return bool(_LOCAL.match(origin))


def folder_of(origin: str) -> str:
    """The folder that ``git clone ORIGIN`` makes."""
    return re.split(r"[/:]", origin.rstrip("/"))[-1].removesuffix(".git")


def pack_path(name: str, *, disabled: bool) -> str | Finding:
    """Where a pack of this folder name goes under custom_nodes."""
    try:
        safe_name(f"packs/{name}")
        plain = (
            "/" not in name and not name.startswith(".") and not name.endswith((".disabled", " ")) and len(name) < 200
        )
        name.encode()
    except (BadInput, UnicodeEncodeError):
        plain = False
    if not plain:
        return left_out(ascii(name), f"A pack goes by {name!a}, which is no name of a folder; it is left out.")
    return f"{name}.disabled" if disabled else name


def git_pack(origin: str, commit: str, name: str, *, disabled: bool, path: str = "") -> NamedPack | Finding:
    """The pack at `commit` of `origin`, or why it cannot be had.

    Args:
        path: where it goes, where that is known.
    """
    shown = name or origin
    if not origin or not (is_remote(origin) or is_local(origin)):
        message = f"The pack {shown!r} is named without an address that git takes ({without_credentials(origin)!r})."
        return named_only(shown, message)
    if not is_commit(commit):
        message = f"The pack {shown!r} is named without its commit ({commit[:80]!r}); today's is not taken instead."
        return named_only(shown, message, "Write the commit into the file.")
    place = pack_path(name, disabled=disabled)
    if isinstance(place, Finding):
        return place
    return NamedPack(kind="git", name=name, path=path or place, origin=origin, commit=commit)
