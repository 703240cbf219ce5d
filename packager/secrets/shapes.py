"""Secrets known by their shape, wherever they stand: the tokens of well-known services, keys, URLs that hold one.

The shapes are those that the services document for their secret scanners (GitHub's "token formats", AWS's
"unique identifiers", RFC 7519 for JSON web tokens, RFC 7468 for PEM). No pattern may look at a text more than a
bounded number of times: graphs with megabytes of base64 in them are common.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .names import is_mixed, is_secret_name, is_secret_value, is_trivial, secret_name
from .urls import is_secret_parameter

# One of these is in every token: to look for them first costs a tenth of the expression.
_MARKS = (
    b"hf_", b"api_org_", b"sk-", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"glpat-", b"glrt-",
    b"glptt-", b"gldt-", b"AKIA", b"ASIA", b"AIza", b"xox", b"xapp-", b"r8_", b"comfyui-", b"gsk_", b"xai-", b"nvapi-",
    b"rpa_", b"npm_", b"pypi-AgE", b"SG.", b"_v1_", b"k_live_", b"k_test_", b"eyJ", b"PRIVATE KEY",
)  # fmt: skip
_FAL_MARK = re.compile(rb"-[0-9a-f]{12}:[0-9a-f]{32}")
_EDGE = 1024 * 1024  # bytes at both ends of a binary file


class Found(NamedTuple):
    """A secret in a text: its place, and what to call it."""

    start: int
    end: int
    name: str


# Inside a longer run of such characters (base64, a file's name) a match means nothing.
_BEFORE, _AFTER = r"(?<![A-Za-z0-9_+-])", r"(?![A-Za-z0-9_])"
_TOKENS = {
    "HF_TOKEN": r"(?:hf|api_org)_[A-Za-z0-9]{30,60}",
    "API_KEY": r"sk-(?:(?:ant|proj|or|svcacct|admin|lf)-[A-Za-z0-9_-]{20,250}|[A-Za-z0-9]{20,100})",
    "GITHUB_TOKEN": r"(?:gh[pousr]_[A-Za-z0-9]{36,250}|github_pat_[A-Za-z0-9_]{60,250})",
    "GITLAB_TOKEN": r"gl(?:pat|rt|ptt|dt)-[A-Za-z0-9_-]{20,100}",
    "AWS_ACCESS_KEY": r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    "GOOGLE_API_KEY": r"AIza[0-9A-Za-z_-]{35}",
    "SLACK_TOKEN": r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{20,250}",
    "REPLICATE_TOKEN": r"r8_[A-Za-z0-9]{37,40}",
    "FAL_KEY": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}",
    "COMFY_API_KEY": r"comfyui-[0-9a-f]{64}",
    "GROQ_API_KEY": r"gsk_[A-Za-z0-9]{40,80}",
    "XAI_API_KEY": r"xai-[A-Za-z0-9]{60,120}",
    "NVIDIA_API_KEY": r"nvapi-[A-Za-z0-9_-]{50,120}",
    "RUNPOD_API_KEY": r"rpa_[A-Z0-9]{40,60}[A-Za-z0-9]{0,10}",
    "NPM_TOKEN": r"npm_[A-Za-z0-9]{36}",
    "PYPI_TOKEN": r"pypi-AgE[A-Za-z0-9_-]{50,250}",
    "SENDGRID_API_KEY": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "DIGITALOCEAN_TOKEN": r"do[opr]_v1_[0-9a-f]{64}",
    "STRIPE_KEY": r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,120}",
    "JWT": r"eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{10,2000}",
}
_TOKEN = re.compile(
    _BEFORE + "(?:" + "|".join(f"(?P<{name}>{shape})" for name, shape in _TOKENS.items()) + ")" + _AFTER
)
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----[^-]{20,20000}"
    r"-----END (?:[A-Z]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
)
_WEBHOOK = re.compile(
    r"(?<=hooks\.slack\.com/services/)[A-Z0-9]{6,20}/[A-Z0-9]{6,20}/[A-Za-z0-9]{16,40}"
    r"|(?<=discord\.com/api/webhooks/)[0-9]{10,25}/[A-Za-z0-9_-]{40,100}"
)
_USER = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30})://([^/\s?#\"'<>`]{1,500})@(?=[\w\[])")
_PARAMETER = re.compile(r"""(?<=[?&#])([A-Za-z][\w.-]{0,40})=([^\s&#"'<>`)\]]{6,4000})""")
_ASSIGNED = re.compile(
    r"""(?ix) (?<![\w.-]) ([a-z][\w-]{2,60}) ["']? [^\S\n]{0,3} [:=] [^\S\n]{0,3} ["']?
    (?: (?:bearer|basic|token) [^\S\n]{1,3} )? ([\w+/.~-]{16,1000}+={0,2}) (?![\w+/=.~-])"""
)
_BEARER = re.compile(r"(?i)(?<!\w)bearer[^\S\n]{1,3}([\w+/.~-]{20,4000}+={0,2})(?![\w+/=.~-])")


def find_tokens(text: str) -> Iterator[Found]:
    """The private keys and tokens in `text`: what is surely a secret, in code and in binary data too."""
    for found in _PEM.finditer(text) if "PRIVATE KEY" in text else ():
        yield Found(*found.span(), "PRIVATE_KEY")
    for found in _TOKEN.finditer(text):
        if is_mixed(found[0]) and not is_trivial(found[0]):
            yield Found(*found.span(), str(found.lastgroup))


def has_token(data: bytes) -> bool:
    """Whether `find_tokens` finds any in a file; of a binary one only in its ends, where metadata stands."""
    if b"\0" in data[:8192]:
        data = data[:_EDGE] + b"\0" + data[-_EDGE:]
    if not any(mark in data for mark in _MARKS) and not _FAL_MARK.search(data):
        return False
    return any(True for _ in find_tokens(data.decode("latin-1")))


def find_shapes(text: str) -> Iterator[Found]:
    """The secrets in `text` that are known by their shape; some may overlap, the surest come first."""
    yield from find_tokens(text)
    if "://" in text:
        yield from _in_urls(text)
    for found in _BEARER.finditer(text):
        if is_mixed(found[1]) and re.search("[0-9]", found[1]):
            yield Found(*found.span(1), "AUTHORIZATION")
    for found in _ASSIGNED.finditer(text) if ":" in text or "=" in text else ():
        named = is_secret_name(found[1]) and is_secret_value(found[1], found[2])
        if named and re.search("[0-9]", found[2]) and re.search("[A-Za-z]", found[2]):
            yield Found(*found.span(2), secret_name(found[1]))


def _in_urls(text: str) -> Iterator[Found]:
    for found in _USER.finditer(text):
        user, colon, password = found[2].partition(":")
        if found[1].lower().endswith("ssh") and not colon:
            continue  # ``ssh://git@`` names no secret
        if not is_trivial(password if colon else user) and not found[2].startswith("$"):
            yield Found(*found.span(2), "URL_CREDENTIALS")
    for found in _PARAMETER.finditer(text):
        if is_secret_parameter(found[1], found[2]):
            yield Found(*found.span(2), secret_name(found[1]))
    for found in _WEBHOOK.finditer(text):
        yield Found(*found.span(), "WEBHOOK")
