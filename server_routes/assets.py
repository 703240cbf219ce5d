"""Keep browsers from using an old module of the panel after the pack was updated."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from aiohttp import web

# ComfyUI serves a pack's web folder under the pack's folder name, and marks only .js, .css and pictures for caching
# (middleware/cache_middleware.py, 0.30.0): what to do with an .mjs is left to the browser, which may keep it for days.
_PREFIX = f"/extensions/{Path(__file__).parent.parent.name}/"


async def always_revalidate(request: web.Request, response: web.StreamResponse) -> None:
    """Ask for one conditional request (answered 304 when nothing changed) for each of our modules."""
    if request.path.endswith(".mjs") and urllib.parse.unquote(request.path).startswith(_PREFIX):
        response.headers.setdefault("Cache-Control", "no-cache")
