"""A git checkout as it is: origin, commit, what lies over the commit, and the checkouts inside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ...capsule import Checkout, CheckoutFiles, Submodule, checkout_files, git
from ...command import without_credentials
from ...errors import Cancelled, CapsuleError
from ...progress import Tick, unheard
from ...secrets import has_token
from .bundle import bundle_of, files_with_tokens, is_on_a_remote
from .changes import Changes, read_changes

# ``host:path`` of scp, or a scheme that names a host; anything else is a path of this machine.
_OF_A_HOST = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://|[^/\\:]{2,}:(?!//)", re.IGNORECASE)
# ``ext::sh -c …``: a program that fetches (gitremote-helpers). It may hold anything, and nobody runs it for a capsule.
_OF_A_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")


class ReadCheckout(BaseModel):
    """What one checkout is.

    Attributes:
        bundle: the commit itself, when no remote that others reach is known to have it.
        exposed: files that hold secrets and would be in `bundle`, which is not made then.
        tokens: files with what looks like a token, which are in `bundle`.
        unnamed: whether there is a remote whose address holds a secret; it is none then.
        nested: the checkouts inside it, by their path.
    """

    model_config = ConfigDict(frozen=True)

    origin: str
    commit: str
    line_ends: Literal["", "crlf", "attributes"]
    changes: Changes
    bundle: bytes
    exposed: tuple[str, ...]
    tokens: tuple[str, ...] = ()
    unnamed: bool = False
    nested: dict[str, ReadCheckout]

    def entries(self, name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The fields of a `Source` that this checkout gives, and the carried bytes by entry name.

        Args:
            name: what the entries' names begin with, e.g. ``packs/ComfyUI-GGUF``.
        """
        checkout, files = self._checkout(name)
        inner = []
        for path, nested in self._all_nested():
            said, carried = nested._checkout(f"{name}/{path}")
            inner.append(Submodule(path=path, **said.model_dump()))
            files |= carried
        return {"kind": "git", **checkout.model_dump(), "submodules": tuple(inner)}, files

    def all(self) -> list[tuple[str, ReadCheckout]]:
        """This checkout under the path ``""``, and all inside it, outer ones first."""
        return [("", self), *self._all_nested()]

    def _all_nested(self) -> list[tuple[str, ReadCheckout]]:
        found = []
        for path, nested in sorted(self.nested.items()):
            found += [(str(PurePosixPath(path, inner)), checkout) for inner, checkout in nested.all()]
        return found

    def _checkout(self, name: str) -> tuple[Checkout, dict[str, bytes]]:
        carried = {f"{name}.patch": self.changes.patch, f"{name}.bundle": self.bundle}
        files = {entry: data for entry, data in carried.items() if data}
        patch, bundle = (entry if entry in files else "" for entry in carried)
        return Checkout(
            origin=self.origin, commit=self.commit, line_ends=self.line_ends, patch=patch, bundle=bundle
        ), files


def read_checkout(folder: Path, files: CheckoutFiles | None = None, tick: Tick = unheard) -> ReadCheckout:
    """Read the checkout at `folder`; nothing in it is changed, nothing of it runs, its own git settings do not hold.

    Args:
        files: what `checkout_files` says of it, where that was asked already.
        tick: called for every file that is read.

    Raises:
        CapsuleError: ``git-unreadable`` when git cannot say what it is (corrupt, no commit, objects not fetched).
    """
    try:
        commit = git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        settings = _settings(folder)
        said, line_ends = _origin(settings), _line_ends(settings)
        origin = "" if has_token(said.encode()) else said
        files = files or checkout_files(folder)
        kept = _is_of_a_host(origin) and is_on_a_remote(folder, commit)
        bundled = not kept and not files.withheld
        return ReadCheckout(
            origin=origin,
            commit=commit,
            line_ends=line_ends,
            changes=read_changes(folder, files, commit, line_ends, tick),
            bundle=bundle_of(folder, commit) if bundled else b"",
            exposed=() if kept else files.withheld,
            tokens=files_with_tokens(folder, files.committed) if bundled else (),
            unnamed=origin != said,
            nested={path: read_checkout(folder / path, inner, tick) for path, inner in files.nested.items()},
        )
    except CapsuleError as error:
        if isinstance(error, Cancelled) or error.code in ("no-program", "git-unreadable"):
            raise
        message = f"git cannot read {folder.name}: {error.message.splitlines()[-1]}"
        raise CapsuleError("git-unreadable", message, "Repair the checkout.") from error


def checkout_changes(folder: Path, files: CheckoutFiles) -> Changes:
    """What of the checkout at `folder`, whose files are `files`, is not what its commit gives. Raises CapsuleError."""
    commit = git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    return read_changes(folder, files, commit, _line_ends(_settings(folder)))


def is_local(origin: str) -> bool:
    """Whether `origin` is a folder of this machine (a path, or ``file:``), which others cannot fetch from."""
    return bool(origin) and not _is_of_a_host(origin)


def _is_of_a_host(origin: str) -> bool:
    return bool(_OF_A_HOST.match(origin))


def _settings(folder: Path) -> dict[str, str]:
    """git's own and the user's settings for this checkout; the last one counts."""
    listed = git(folder, "config", "--list", "--null").decode("utf-8", "replace")
    entries = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return {key: value for key, _, value in entries}


def _origin(settings: Mapping[str, str]) -> str:
    """The URL as it is written down: `git remote get-url` would put in what the user's ``insteadOf`` says."""
    remotes = {key[len("remote.") : -len(".url")]: url for key, url in settings.items() if _is_remote(key)}
    upstream = next((value for key, value in settings.items() if re.fullmatch(r"branch\..*\.remote", key)), "")
    for name in ("origin", upstream, *sorted(remotes)):
        if name in remotes and not _OF_A_HELPER.match(remotes[name]):
            return without_credentials(remotes[name]).partition("#")[0]
    return ""


def _is_remote(key: str) -> bool:
    return key.startswith("remote.") and key.endswith(".url")


def _line_ends(settings: Mapping[str, str]) -> Literal["", "crlf", "attributes"]:
    """After git's documentation of ``core.autocrlf`` and ``core.eol``."""
    if settings.get("core.autocrlf", "").lower() in ("true", "yes", "on", "1"):
        return "crlf"
    eol = settings.get("core.eol", "native").lower()
    native = eol == "native" and os.linesep == "\r\n" and settings.get("core.autocrlf", "").lower() != "input"
    return "attributes" if eol == "crlf" or native else ""
