"""Who may use the ``/capsule`` routes: this machine's own pages, and others only where the owner says so.

ComfyUI has no accounts and compares Host with Origin for loopback names only, so a page on another site can reach it
by DNS rebinding, and anyone can where it listens beyond loopback. A capsule holds unpublished work; so reading is
guarded as well as doing.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..packager.errors import CapsuleError

Access = Literal["read", "export"]

HOSTS_VARIABLE = "COMFY_CAPSULE_HOSTS"
ALLOW_VARIABLE = "COMFY_CAPSULE_ALLOW"
HEADER = "X-Comfy-Capsule"

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
_IMPLIED: Mapping[str, tuple[str, ...]] = {"export": ("read",)}  # who may export may read what is exported


class Refused(CapsuleError):
    """The request may not do this."""

    status = 403


@dataclass(frozen=True)
class Policy:
    """What the owner set up.

    Attributes:
        hosts: names, beside loopback ones, under which this server may be reached; without ports, lower case.
        allowed: classes of routes that are open although others can reach the server.
        exposed: whether ComfyUI listens beyond loopback.
    """

    hosts: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    exposed: bool = False


def current_policy(environment: Mapping[str, str] | None = None) -> Policy:
    """Read the policy from the environment, and ComfyUI's ``--listen`` where this is ComfyUI's process."""
    values = os.environ if environment is None else environment
    allowed = _words(values.get(ALLOW_VARIABLE, ""))
    implied = {also for word in allowed for also in _IMPLIED.get(word, ())}
    return Policy(
        hosts=_words(values.get(HOSTS_VARIABLE, "")),
        allowed=allowed | implied,
        exposed=any(not _is_loopback(address) for address in _listen_addresses()),
    )


def check(headers: Mapping[str, str], method: str, content_type: str, access: Access, policy: Policy) -> None:
    """Let a request of class `access` pass, or say why not. `headers` ignores case, as aiohttp's do.

    Raises:
        Refused: ``foreign-host``, ``foreign-origin``, ``not-our-page`` or ``not-allowed``.
    """
    host = headers.get("Host", "")
    name = _host_name(host)
    if not (_is_loopback(name) or name in policy.hosts):
        raise Refused(
            "foreign-host",
            f"Comfy Capsule answers on this machine's own names only, and this page was opened as “{name}”.",
            f"Open ComfyUI as localhost, or start it with {HOSTS_VARIABLE}={name} if that name is yours.",
        )
    origin = headers.get("Origin")
    if origin is not None and urllib.parse.urlsplit(origin).netloc.lower() != host.lower():
        raise Refused("foreign-origin", "Another site's page asked Comfy Capsule to act, and was refused.")
    if method == "POST" and (content_type != "application/json" or headers.get(HEADER) != "1"):
        raise Refused("not-our-page", f"A POST to Comfy Capsule carries JSON and the header {HEADER}: 1.")
    if access not in policy.allowed:
        _check_local(headers, access, policy)


def _check_local(headers: Mapping[str, str], access: Access, policy: Policy) -> None:
    if policy.exposed:
        reason = "ComfyUI listens beyond this machine"
    elif any(header in headers for header in _FORWARDED):
        reason = "this request came through a proxy"
    else:
        return
    raise Refused(
        "not-allowed",
        f"Comfy Capsule is off, because {reason} and anyone who reaches it could {access} your work.",
        f"If that is what you want, start ComfyUI with {ALLOW_VARIABLE}={access} in its environment.",
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in text.split(",") if word.strip())


def _host_name(host: str) -> str:
    try:
        return (urllib.parse.urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:  # a malformed IPv6 literal
        return ""


def _is_loopback(name: str) -> bool:
    """Only literals and ``localhost``: a name that merely resolves to loopback is what DNS rebinding uses."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _listen_addresses() -> list[str]:
    module = sys.modules.get("comfy.cli_args")  # never imported here: outside ComfyUI it would parse our arguments
    listen = str(getattr(getattr(module, "args", None), "listen", "") or "")
    return [address.strip() for address in listen.split(",") if address.strip()]
