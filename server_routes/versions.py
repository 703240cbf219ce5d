"""The routes of kept versions: every capsule that this user exported here, what each changed, and all of it back.

A version is named by its git commit, as the server gave it out; no path comes from the browser. Nothing is changed by
these routes, so all are of the class ``read``. Each looks only into the folder of ComfyUI's user who asks.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..packager.errors import BadInput
from .answers import not_installed
from .handlers import NotFound, UserOf, guarded, known_user

if TYPE_CHECKING:
    from ..packager.versions import Version, Versions

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 20  # bytes
_GONE = ("no-versions", "no-version")


class VersionHandlers:
    """The routes below ``/capsule/versions``."""

    def __init__(self, user_of: UserOf) -> None:
        self._user_of = user_of

    @guarded("read")
    async def workflows(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/versions``: ``{workflows: [{name, versions, newest, time}], bytes: {files, git}}``."""

        def work(versions: Versions) -> dict[str, Any]:
            files, git = versions.size()
            found = [each.model_dump(mode="json") for each in versions.workflows()]
            return {"workflows": found, "bytes": {"files": files, "git": git}}

        return web.json_response(await self._apart(request, work))

    @guarded("read")
    async def history(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/versions/{workflow}``: ``{versions: […]}``, the newest first; none where none is kept.

        Each has id, commit, message, time, parent, branches, tags, contract and environment (what changed since its
        parent), carried and missing (bytes).
        """
        name = request.match_info["workflow"]

        def work(versions: Versions) -> dict[str, Any]:
            return {"versions": [each.model_dump(mode="json") for each in versions.history(name)]}

        try:
            return web.json_response(await self._apart(request, work))
        except NotFound:
            return web.json_response({"versions": []})

    @guarded("read")
    async def details(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/versions/{workflow}/{version}?since=COMMIT``: the version, and what it changed.

        ``changes`` is of its parent, or of the version ``since``: ``{before, after, contract: {verdict, changes},
        environment: […], graph, layout}``; null for a first version.
        """
        since = request.query.get("since", "")

        def work(versions: Versions) -> dict[str, Any]:
            found = _found(versions, request)
            before = since or found.parent
            changes = None
            if before:
                kept = (versions.read(_named(versions, found.workflow, before)), versions.read(found))
                changes = _module("version_changes").compare_versions(*kept).model_dump(mode="json")
            return {"version": found.model_dump(mode="json"), "changes": changes}

        return web.json_response(await self._apart(request, work))

    @guarded("read")
    async def workflow(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/versions/{workflow}/{version}/workflow``: its editor graph, to be opened."""

        def work(versions: Versions) -> bytes:
            return versions.read(_found(versions, request)).texts["workflow.json"]

        return web.Response(body=await self._apart(request, work), content_type="application/json")

    @guarded("read")
    async def capsule(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/versions/{workflow}/{version}/capsule``: the capsule's file, byte for byte as it was."""
        with tempfile.TemporaryDirectory(prefix="capsule-version-") as folder:
            path = Path(folder, "version.capsule.zip")

            def work(versions: Versions) -> str:
                found = _found(versions, request)
                versions.write(found, path)
                return f"{found.workflow}-{found.id}.capsule.zip"

            name = await self._apart(request, work)
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            response = web.StreamResponse(headers=headers)
            response.content_type, response.content_length = "application/zip", path.stat().st_size
            await response.prepare(request)
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    await response.write(chunk)
            await response.write_eof()
        return response

    async def _apart(self, request: web.Request, work: Any) -> Any:
        """What `work` answers of the user's versions, in a thread: git and the disk may be slow."""
        user = known_user(self._user_of, request)

        def run() -> Any:
            try:
                engine = _module("versions")
                folder = engine.versions_folder(_module("comfy").live_user_dir(), user)
                return work(engine.Versions(folder))
            except ModuleNotFoundError as error:
                raise not_installed(error.name or str(error)) from error
            except BadInput as error:
                if error.code in _GONE:
                    raise NotFound(error.code, error.message, "Look at the list of versions again.") from error
                raise

        return await asyncio.to_thread(run)


def _found(versions: Versions, request: web.Request) -> Version:
    return _named(versions, request.match_info["workflow"], request.match_info["version"])


def _named(versions: Versions, workflow: str, commit: str) -> Version:
    if not _COMMIT.fullmatch(commit):
        raise BadInput("no-version", f"{commit!r} names no version.")
    return versions.find(f"{workflow}@{commit}")


def _module(name: str) -> Any:
    return importlib.import_module(f"..packager.{name}", __package__)
