"""Who may ask: API keys by their hash, and the guards against other people's web pages."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from .keys import Key, Rates, Scope
from .problems import Problem
from .session import COOKIE, Sessions
from .settings import Settings, is_loopback

#: The owner of everything when no key is configured.
NOBODY = "local"
#: The owner of what was asked for without a key where keys are needed: runs of public workflows.
PUBLIC = "public"
#: Answered without a key: they say nothing about workflows.
OPEN = frozenset({"/livez", "/readyz", "/", "/docs"})
_PAGE = "/page/"
#: How often each key has asked.
RATES = web.AppKey("rates", Rates)
#: Where the application keeps its sessions.
SESSIONS = web.AppKey("sessions", Sessions)
#: Where a request keeps its key, or None.
KEY: Any = web.RequestKey("key", object) if hasattr(web, "RequestKey") else "key"
#: Where a request keeps its owner.
OWNER: Any = web.RequestKey("owner", str) if hasattr(web, "RequestKey") else "owner"  # since aiohttp 3.14
#: Whose things a request may see: its owner's, or, None, everybody's.
SEES: Any = web.RequestKey("sees", object) if hasattr(web, "RequestKey") else "sees"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(settings: Settings) -> Middleware:
    """The middleware that lets a request through or raises a Problem; it sets the request's owner."""
    hosts = {host.lower() for host in settings.hosts} | {settings.host.lower()}
    # Without a key a web page anywhere could reach a loopback server through its own name (DNS rebinding).
    named_only = not settings.keys and is_loopback(settings.host)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = _host(request.headers.get("Host", ""))
        if named_only and not (is_loopback(host) or host in hosts):
            raise Problem(
                "forbidden-host",
                f"This gateway is not served as {host!r}.",
                "Use 127.0.0.1 or localhost, or add --hosts.",
            )
        if _may_change(request):
            _check_origin(request)
        request[KEY] = key = _key(request, settings)
        without = PUBLIC if settings.keys else NOBODY
        request[OWNER] = request[SEES] = key.name if key is not None else without
        if key is not None and not _is_open(request):
            request[SEES] = None if "admin" in key.scopes else key.name
            _check_scope(request, key)
            if request.method not in _READING:
                check_rate(request)
        return await handler(request)

    return middleware


def find_key(settings: Settings, given: object) -> Key | None:
    """The configured key that `given` is."""
    if not isinstance(given, str) or not given:
        return None
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()
    return settings.by_digest.get(digest)


def _key(request: web.Request, settings: Settings) -> Key | None:
    """The key that the request is made with, by itself or by a session; None where none is needed."""
    if not settings.keys:
        return None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
    if (key := find_key(settings, given)) is not None:
        return key
    cookie = "" if given else request.cookies.get(COOKIE, "")
    if cookie and (key := request.app[SESSIONS].key(cookie)) is not None:
        return key
    if not _is_open(request) and not _is_public(request, settings):
        raise Problem(
            "unauthorised",
            "The API key is not known here." if given else "No API key was sent.",
            "Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return None


def _check_scope(request: web.Request, key: Key) -> None:
    needed: Scope = "run" if _may_change(request) else "read"
    if needed not in key.scopes and "admin" not in key.scopes:
        raise Problem(
            "forbidden-scope", f"The API key {key.name!r} may not {needed} here.", "Ask whoever runs this gateway."
        )


def _may_change(request: web.Request) -> bool:
    """A websocket begins as a GET, and runs workflows; a browser opens one to any site, with its cookies."""
    return request.method not in _READING or "upgrade" in request.headers


def check_rate(request: web.Request) -> None:
    """Count one request for a change. Raises Problem ``rate-limited``."""
    key = request[KEY]
    if key is not None and (wait := request.app[RATES].take(key)):
        raise Problem(
            "rate-limited",
            f"The API key {key.name!r} asks more often than it may.",
            "Wait as long as Retry-After says.",
            headers={"Retry-After": str(math.ceil(wait))},
        )


def _is_open(request: web.Request) -> bool:
    """The page itself, and signing in and out."""
    signing = request.path == "/session" and request.method in ("POST", "DELETE")
    return request.path in OPEN or request.path.startswith(_PAGE) or signing


def _is_public(request: web.Request, settings: Settings) -> bool:
    """What public workflows need: themselves, their executions by ids that cannot be guessed, uploads; no lists."""
    if not settings.public:
        return False
    first, _, rest = request.path.removeprefix("/ws").lstrip("/").partition("/")
    if first == "workflows":
        return not rest or rest.split("/")[0] in settings.public
    return first == "files" or (first in ("executions", "batches") and bool(rest)) or request.path == "/session"


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
