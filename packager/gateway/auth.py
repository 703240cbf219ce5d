"""Who may ask: API keys by their hash, and the guards against other people's web pages."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from .problems import Problem
from .settings import Settings, is_loopback

#: The owner of everything when no key is configured.
NOBODY = "local"
#: Answered without a key: they say nothing about workflows.
OPEN = frozenset({"/livez", "/readyz", "/"})
#: Where a request keeps its owner.
OWNER: Any = web.RequestKey("owner", str) if hasattr(web, "RequestKey") else "owner"  # since aiohttp 3.14
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(settings: Settings) -> Middleware:
    """The middleware that lets a request through or raises a Problem; it sets the request's owner."""
    owners = {key.sha256: key.name for key in settings.keys}
    hosts = {host.lower() for host in settings.hosts} | {settings.host.lower()}
    # Without a key a web page anywhere could reach a loopback server through its own name (DNS rebinding).
    named_only = not owners and is_loopback(settings.host)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = _host(request.headers.get("Host", ""))
        if named_only and not (is_loopback(host) or host in hosts):
            raise Problem(
                "forbidden-host",
                f"This gateway is not served as {host!r}.",
                "Use 127.0.0.1 or localhost, or add --hosts.",
            )
        if request.method not in _READING:
            _check_origin(request)
        request[OWNER] = _owner(request, owners)
        return await handler(request)

    return middleware


def _owner(request: web.Request, owners: dict[str, str]) -> str:
    if not owners:
        return NOBODY
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
    owner = owners.get(hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()) if given else None
    if owner is None and request.path not in OPEN:
        raise Problem(
            "unauthorised",
            "The API key is not known here." if given else "No API key was sent.",
            "Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return owner or ""


def _check_origin(request: web.Request) -> None:
    """A browser sends Origin with what changes state; only our own pages may. A webhook may not, whoever's it is: one
    that was sent to the gateway itself, by whatever name and proxy, would act with its reach."""
    if "webhook-signature" in request.headers:
        raise Problem("forbidden-origin", "A webhook may not change anything here.")
    origin = request.headers.get("Origin")
    foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if foreign or (origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower()):
        raise Problem("forbidden-origin", f"A page of {origin or 'another site'} may not change anything here.")


def _host(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
