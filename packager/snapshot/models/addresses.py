"""Addresses of models, as files and workflows say them: cleaned of secrets, and told apart by who serves them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ...command import without_credentials

HUGGINGFACE = "https://huggingface.co"
CIVITAI = "https://civitai.com"

_LONGEST = 2000
#: Members of a query that let whoever holds them in: API keys, and signatures of addresses that a store hands out.
_SECRET = re.compile(
    r"token|key|auth|secret|passw|signature|^sig$|^x-amz-|^x-goog-|^policy$|^expires$|^jwt$", re.IGNORECASE
)
_RESOLVE = re.compile(r"^/(?P<repository>[\w.-]+/[\w.-]+)/(?:resolve|blob)/(?P<revision>[^/]+)/(?P<file>.+)$")


class Candidate(NamedTuple):
    """One address from which a model may be had, how that was learnt, and the sha256 (hex) that is claimed for it."""

    url: str
    how: str
    sha256: str = ""


class HubFile(NamedTuple):
    """One file of a Hugging Face repository: ``owner/name``, a branch or commit, the path within."""

    repository: str
    revision: str
    file: str

    def url(self, base: str = HUGGINGFACE) -> str:
        """Where it is downloaded."""
        return f"{base}/{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(self.file)}"


def clean_address(said: object) -> str:
    """`said` as an address that may be written down: http(s), without credentials, tokens and fragment; or ``""``."""
    if not isinstance(said, str) or len(said) > _LONGEST or not said.isprintable() or " " in said.strip():
        return ""
    try:
        parts = urlsplit(without_credentials(said.strip()))
        host, kept = parts.hostname, parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    query = urlencode([(key, value) for key, value in kept if not _SECRET.search(key)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def hub_file(url: str, base: str = HUGGINGFACE) -> HubFile | None:
    """The repository's file that `url` is the address of, or None when another host serves it."""
    parts = urlsplit(url)
    if f"{parts.scheme}://{parts.netloc}" != base:
        return None
    found = _RESOLVE.match(parts.path)
    return HubFile(found["repository"], found["revision"], found["file"]) if found else None
