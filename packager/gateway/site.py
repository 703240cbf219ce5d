"""The page at ``/``, the API's description at ``/docs``, their files, and the session that an API key is traded for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from .auth import SESSIONS, find_key
from .body import parse_json
from .problems import Problem
from .routes import SERVICE
from .session import COOKIE, LIFE

_FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".mjs": "text/javascript"}
_FILES = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_SLOW = 0.5  # seconds before a wrong key is told: whoever tries many waits

routes = web.RouteTableDef()


@routes.get("/")
async def index(_: web.Request) -> web.StreamResponse:
    return _file("index.html")


@routes.get("/docs")
async def docs(_: web.Request) -> web.StreamResponse:
    return _file("docs.html")


@routes.get("/page/{file}")
async def file(request: web.Request) -> web.StreamResponse:
    return _file(request.match_info["file"])


def _file(name: str) -> web.Response:
    path = _FILES.get(name)
    if path is None:
        raise Problem("not-found", f"The page has no file {name!r}.")
    return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8", headers=_HEADERS)


@routes.get("/session")
async def session(request: web.Request) -> web.StreamResponse:
    """Whether this gateway asks for a key; who has no key or session does not get here."""
    return web.json_response({"needed": bool(request.app[SERVICE].settings.keys)})


@routes.post("/session")
async def begin(request: web.Request) -> web.StreamResponse:
    """Trade the key in ``{"key": …}`` for a session."""
    given = parse_json(await request.read())
    key = find_key(request.app[SERVICE].settings, given.get("key") if isinstance(given, dict) else None)
    if key is None:
        await asyncio.sleep(_SLOW)
        raise Problem("unauthorised", "The API key is not known here.", "Ask whoever runs this gateway.")
    response = web.Response(status=204)
    secure = request.secure or request.headers.get("X-Forwarded-Proto", "") == "https"
    response.set_cookie(
        COOKIE, request.app[SESSIONS].make(key), max_age=LIFE, httponly=True, samesite="Strict", secure=secure
    )
    return response


@routes.delete("/session")
async def end(_: web.Request) -> web.StreamResponse:
    response = web.Response(status=204)
    response.del_cookie(COOKIE, httponly=True, samesite="Strict")
    return response
