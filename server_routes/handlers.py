"""The handlers: each parses its request, calls the engine, and answers JSON."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..packager.errors import BadInput, CapsuleError
from .answers import exported, install_line, problem
from .guard import Access, check, current_policy
from .tasks import Task, Tasks

if TYPE_CHECKING:
    from ..packager.progress import Report

Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
UserOf = Callable[[web.Request], str]  # ComfyUI's id of whoever asks; KeyError for one it does not know


class NotFound(CapsuleError):
    """What the address names is not there."""

    status = 404


class _UnknownUser(CapsuleError):
    status = 403


def guarded(access: Access) -> Callable[[Handler], Handler]:
    """Let only who may `access` reach the handler, and answer its errors as problem JSON."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def wrapped(self: Any, request: web.Request) -> web.StreamResponse:
            try:
                check(request.headers, request.method, request.content_type, access, current_policy())
                response = await handler(self, request)
            except CapsuleError as error:
                response = problem(error)
            response.headers["Cache-Control"] = "no-store"
            return response

        return wrapped

    return decorate


class Handlers:
    """The ``/capsule`` routes, over one set of tasks."""

    def __init__(self, tasks: Tasks, user_of: UserOf) -> None:
        self._tasks = tasks
        self._user_of = user_of

    @guarded("read")
    async def status(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/status``: whether the engine can work, else the line that installs what it needs."""
        try:
            await asyncio.to_thread(_engine)
        except ModuleNotFoundError as error:
            return web.json_response({"engine": False, "missing": error.name, "install": install_line()})
        return web.json_response({"engine": True})

    @guarded("read")
    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """``POST /capsule/snapshot`` ``{workflow?, api?, look_up?, client_id?}``: start reading; 202 with the task."""
        body = await _json_object(request)
        api, workflow = _optional(body, "api", dict), _optional(body, "workflow", dict)
        look_up = bool(_optional(body, "look_up", bool))

        def work(report: Report, cancelled: Callable[[], bool]) -> tuple[dict[str, Any], Path | None]:
            return _engine().snapshot_live(api, workflow, report, cancelled, look_up).model_dump(mode="json"), None

        return _accepted(self._tasks.start(Task("snapshot", _optional(body, "client_id", str) or ""), work))

    @guarded("export")
    async def export(self, request: web.Request) -> web.StreamResponse:
        """``POST /capsule/export`` ``{name, workflow, api, frontend_version, message?, look_up?, client_id?}``; 202 as
        above. The capsule is kept as a version of who asks; the result's ``version`` is null where that failed.
        """
        body = await _json_object(request)
        workflow, api = _required(body, "workflow", dict), _required(body, "api", dict)
        name, frontend = _required(body, "name", str), _required(body, "frontend_version", str)
        message, look_up = _optional(body, "message", str) or "", bool(_optional(body, "look_up", bool))
        user = known_user(self._user_of, request)

        def work(report: Report, cancelled: Callable[[], bool]) -> tuple[dict[str, Any], Path | None]:
            result = _engine().export_live(
                workflow,
                api,
                name=name,
                message=message,
                frontend_version=frontend,
                look_up=look_up,
                user=user,
                report=report,
                cancelled=cancelled,
            )
            return exported(result), result.path

        return _accepted(self._tasks.start(Task("export", _optional(body, "client_id", str) or ""), work))

    @guarded("read")
    async def task(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/tasks/{id}``: state, progress, result or error."""
        return web.json_response(self._find(request).view())

    @guarded("read")
    async def file(self, request: web.Request) -> web.StreamResponse:
        """``GET /capsule/tasks/{id}/file``: the capsule that the task made."""
        task = self._find(request)
        if task.file is None or not task.file.is_file() or task.result is None:
            raise NotFound("no-file", "This task has no file to download.", "Export again.")
        disposition = f'attachment; filename="{task.result["file"]}"'
        return web.FileResponse(task.file, headers={"Content-Disposition": disposition})

    @guarded("export")
    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``POST /capsule/tasks/{id}/cancel``: ask the task to stop; it says when it has."""
        task = self._find(request)
        task.stop.set()
        return web.json_response(task.view())

    def _find(self, request: web.Request) -> Task:
        task = self._tasks.get(request.match_info["id"])
        if task is None:
            raise NotFound("no-task", "ComfyUI no longer knows this task; it may have restarted.", "Start it again.")
        return task


def known_user(user_of: UserOf, request: web.Request) -> str:
    """ComfyUI's id of the user who asks. Raises CapsuleError ``unknown-user`` (403)."""
    try:
        return user_of(request)
    except KeyError:
        message = "ComfyUI does not know the user who asks."
        raise _UnknownUser("unknown-user", message, "Choose a user in ComfyUI, and try again.") from None


def _engine() -> Any:
    return importlib.import_module("..packager.export", __package__)


def _accepted(task: Task) -> web.Response:
    return web.json_response({"task": task.id}, status=202)


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:  # not JSON, or not UTF-8
        raise BadInput("bad-request", "The request's body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadInput("bad-request", "The request's body is not a JSON object.")
    return body


def _required(body: dict[str, Any], key: str, kind: type) -> Any:
    if body.get(key) is None:
        raise BadInput("bad-request", f"The request lacks “{key}”.")
    return _optional(body, key, kind)


def _optional(body: dict[str, Any], key: str, kind: type) -> Any:
    value = body.get(key)
    if value is not None and not isinstance(value, kind):
        raise BadInput("bad-request", f"“{key}” in the request is not of type {kind.__name__}.")
    return value
