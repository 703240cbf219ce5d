"""The routes: each reads a request, asks the service, and answers."""

from __future__ import annotations

import base64
import json
from typing import get_args
from urllib.parse import quote

from aiohttp import web

from ..contract import contract_document, parameters_schema
from . import body
from .auth import OWNER, PUBLIC, SEES
from .models import Execution, State
from .present import batch_document, execution_document, file_document, gone, place_of, problem_of
from .problems import Problem
from .service import Service
from .watch import watch

SERVICE = web.AppKey("service", Service)
DOCUMENT = web.AppKey("document", bytes)  # openapi.json
_MOST_LISTED = 200
_SILENCE = 15  # seconds after which an event stream says that it still lives

routes = web.RouteTableDef()


@routes.post("/workflows/{name}")
async def run(request: web.Request) -> web.StreamResponse:
    service, owner = request.app[SERVICE], request[OWNER]
    inline, seconds = body.flag(request, "inline"), body.wait_of(request, service)
    is_gone = body.is_gone(request) if body.flag(request, "cancel_on_disconnect") else None
    terms = await body.terms_of(request, service)
    workflow = service.workflow(request.match_info["name"])
    parameters = await body.parameters_of(request, service, workflow, owner)
    execution, _ = await service.run(workflow.name, parameters, owner, terms)
    execution = await service.wait(execution, seconds, is_gone)
    if execution.ended and execution.state != "succeeded":
        raise problem_of(execution)
    delivery = await service.webhook_of(execution.id) if terms.webhook else None
    document = await execution_document(service, execution, inline=inline, webhook=delivery)
    headers = {"Location": place_of(execution)}
    if not execution.ended:
        headers["Retry-After"] = "1"
    return _json(document, status=200 if execution.ended else 202, headers=headers)


@routes.post("/workflows/{name}/batch")
async def run_batch(request: web.Request) -> web.StreamResponse:
    """Many sets of parameters, ``{"items": [{…}, …]}``; never waited for."""
    service, owner = request.app[SERVICE], request[OWNER]
    terms = await body.terms_of(request, service)
    name = service.workflow(request.match_info["name"]).name
    batch, _ = await service.run_batch(name, await body.items_of(request), owner, terms)
    delivery = await service.webhook_of(batch.id) if terms.webhook else None
    document = await batch_document(service, batch, delivery)
    return _json(document, status=202, headers={"Location": f"/batches/{batch.id}", "Retry-After": "1"})


@routes.get("/batches/{id}")
async def batch(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    found = await service.find_batch(request.match_info["id"], request[SEES])
    return _json(await batch_document(service, found, await service.webhook_of(found.id)))


@routes.post("/batches/{id}/cancel")
async def cancel_batch(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    found = await service.cancel_batch(request.match_info["id"], request[SEES])
    return _json(await batch_document(service, found), status=200 if found.ended else 202)


@routes.get("/executions")
async def executions(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    try:
        limit = int(body.asked(request, "limit", "50"))
    except ValueError as error:
        raise Problem("invalid-query", "limit is no whole number.") from error
    if not 1 <= limit <= _MOST_LISTED:
        raise Problem("invalid-query", f"limit is {limit}.", f"It is 1 to {_MOST_LISTED}.")
    state = body.asked(request, "state")
    if state is not None and state not in get_args(State):
        raise Problem("invalid-query", f"There is no state {state[:40]!r}.", f"There are {', '.join(get_args(State))}.")
    found = await service.store.list(
        request[SEES],
        workflow=body.asked(request, "workflow", ""),
        state=state or "",
        limit=limit,
        before=body.asked(request, "before", ""),
    )
    return _json({"executions": [await execution_document(service, each) for each in found]})


@routes.get("/executions/{id}")
async def execution(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    found = await service.find(request.match_info["id"], request[SEES])
    if "Prefer" in request.headers:
        found = await service.wait(found, body.wait_of(request, service))
    inline, webhook = body.flag(request, "inline"), await service.webhook_of(found.id)
    return _json(await execution_document(service, found, inline=inline, webhook=webhook))


@routes.post("/executions/{id}/cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    found = await service.cancel(request.match_info["id"], request[SEES])
    return _json(await execution_document(service, found), status=200 if found.ended else 202)


@routes.get("/executions/{id}/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: ``state``, ``progress``, ``preview`` when there is a new one, and ``end`` with the whole
    execution; resumable by Last-Event-ID."""
    service = request.app[SERVICE]
    found = await service.find(request.match_info["id"], request[SEES])
    last = request.headers.get("Last-Event-ID", "0")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    silent = 0
    async for event in watch(service, found, int(last) if last.isdecimal() else 0):
        if event is not None:
            silent = 0
            await response.write(_event(event.number, event.name, event.data))
        elif (silent := silent + 1) % _SILENCE == 0:
            await response.write(b": still here\n\n")
    found = await service.store.get(found.id) or found
    await response.write(_event(0, "end", await execution_document(service, found)))
    await response.write_eof()
    return response


@routes.get("/executions/{id}/preview")
async def preview(request: web.Request) -> web.StreamResponse:
    """The latest picture of what runs has so far."""
    service = request.app[SERVICE]
    found = await service.find(request.match_info["id"], request[SEES])
    shown = service.board.preview(found.id)
    if shown is None:
        raise Problem(
            "no-preview", "There is no preview of it now.", "Ask for previews when you run it: ?previews=true."
        )
    return web.Response(body=shown.data, content_type=shown.type, headers={**_SAFE, "Cache-Control": "no-store"})


@routes.get("/executions/{id}/outputs/{output}/{index}")
async def output(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    found = await service.find(request.match_info["id"], request[SEES])
    return await _output(service, found, request.match_info["output"], request.match_info["index"])


async def _output(service: Service, found: Execution, name: str, index: str) -> web.StreamResponse:
    items = found.outputs.get(name, [])
    if not index.isdecimal() or len(index) > 6 or int(index) >= len(items):
        raise Problem(
            "unknown-output",
            f"The execution, which is {found.state}, has no output {name!r} number {index}.",
            f"There are: {', '.join(f'{each} ({len(found.outputs[each])})' for each in found.outputs) or 'none'}.",
        )
    item = items[int(index)]
    if item.kind == "text":
        return web.Response(text=str(item.value), headers=_SAFE)
    if item.kind == "json":
        return _json(item.value, headers=_SAFE)
    return await _file(service, item.sha256, item.type, item.filename)


@routes.post("/files")
async def upload(request: web.Request) -> web.StreamResponse:
    stored = await body.keep_body(request, request.app[SERVICE], request[OWNER])
    return _json(file_document(stored), status=201, headers={"Location": f"/files/{stored.id}"})


@routes.get("/files/{id}")
async def file(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    stored = await service.store.get_file(request.match_info["id"], request[SEES])
    if stored is None:
        raise Problem("unknown-file", "There is no such upload.")
    return await _file(service, stored.sha256, stored.type, stored.filename)


@routes.get("/workflows")
async def workflows(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    told = [
        {
            "name": each.name,
            "title": each.contract.title,
            "description": each.contract.description,
            "capsule": each.digest,
        }
        for each in service.workflows.values()
        if request[OWNER] != PUBLIC or each.name in service.settings.public
    ]
    return _json({"workflows": told})


@routes.get("/workflows/{name}")
async def workflow(request: web.Request) -> web.StreamResponse:
    return _json(contract_document(request.app[SERVICE].workflow(request.match_info["name"]).contract))


@routes.get("/workflows/{name}/schema")
async def schema(request: web.Request) -> web.StreamResponse:
    return _json(parameters_schema(request.app[SERVICE].workflow(request.match_info["name"]).contract))


@routes.get("/openapi.json")
async def document(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.StreamResponse:
    text = await request.app[SERVICE].metrics_text()
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


@routes.get("/livez")
async def livez(_: web.Request) -> web.StreamResponse:
    return _json({"live": True})


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.StreamResponse:
    return _json(await request.app[SERVICE].readiness())


_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}


def _json(data: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


async def _file(service: Service, sha256: str, type: str, filename: str) -> web.StreamResponse:
    """The bytes, with Range, or the way to where they are; never shown as a page of this origin, whatever they are."""
    shown = "inline" if type.startswith(("image/", "audio/", "video/")) and "svg" not in type else "attachment"
    disposition = f"{shown}; filename*=UTF-8''{quote(filename, safe='')}"
    if link := await service.outputs.link(sha256, type, disposition):
        return web.Response(status=307, headers={"Location": link, "Cache-Control": "private, no-store"})
    path = await service.outputs.local(sha256)
    if path is None:
        raise gone(filename)
    headers = {
        "Content-Type": type,
        "Content-Disposition": disposition,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",  # RFC 9530
        **_SAFE,
    }
    return web.FileResponse(path, headers=headers)


def _event(number: int, name: str, data: object) -> bytes:
    id = f"id: {number}\n" if number else ""
    return f"{id}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
