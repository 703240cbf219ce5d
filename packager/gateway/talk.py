"""``/ws/workflows/NAME``: runs, their news and their previews over one websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Mapping
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import body
from .auth import OWNER, SEES, check_rate
from .board import Preview
from .models import PRIORITY, Execution, Terms
from .present import execution_document
from .problems import Problem
from .routes import SERVICE
from .watch import watch

_HEARTBEAT = 20.0  # seconds between pings; who does not answer has hung up
_MOST = 100  # executions followed by one socket at a time

#: The open ones.
SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])

routes = web.RouteTableDef()


async def hang_up(app: web.Application) -> None:
    """The gateway is stopping: say so, rather than be cut off."""
    await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in app[SOCKETS]))


class _Message(BaseModel):
    """What a client may send. `run` runs `parameters`; `follow` tells of an `execution`, from event `after` on;
    `cancel` cancels it. `ref` comes back with the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(pattern="^(run|follow|cancel)$")
    ref: str = Field(default="", max_length=255)
    parameters: dict[str, Any] = {}
    previews: bool = False
    inline: bool = False
    priority: int = Field(default=PRIORITY, ge=0, le=7)
    idempotency_key: str = Field(default="", max_length=255, pattern="^[ -~]*$")
    execution: str = ""
    after: int = Field(default=0, ge=0)


@routes.get("/ws/workflows/{name}")
async def talk(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    name = service.workflow(request.match_info["name"]).name
    hanging_up_cancels = body.flag(request, "cancel_on_disconnect")
    if not _speaks_it(request):
        raise Problem(
            "no-websocket", "This address speaks the WebSocket protocol only.", "POST /workflows/NAME runs it."
        )
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=service.settings.body_limit)
    await socket.prepare(request)
    conversation = _Conversation(request, socket, name)
    request.app[SOCKETS].add(socket)
    try:
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await conversation.hear(message.data)
    finally:
        request.app[SOCKETS].discard(socket)
        await conversation.end(cancel=hanging_up_cancels)
    return socket


def _speaks_it(request: web.Request) -> bool:
    try:
        return bool(web.WebSocketResponse().can_prepare(request))
    except UnicodeEncodeError:  # aiohttp quotes what is wrong, and cannot where it is no text
        return False


class _Conversation:
    def __init__(self, request: web.Request, socket: web.WebSocketResponse, workflow: str) -> None:
        self._request, self._socket, self._workflow = request, socket, workflow
        self._service = request.app[SERVICE]
        self._following: dict[str, asyncio.Task[None]] = {}
        self._own: dict[str, Execution] = {}  # what was run here and lives

    async def hear(self, data: str | bytes) -> None:
        """Do what the message asks, and say what is wrong with it."""
        ref = ""
        try:
            message = _read(data)
            ref = message.ref
            await self._do(message)
        except Problem as problem:
            await self._say({"type": "problem", "ref": ref, "problem": problem.document()})

    async def _do(self, message: _Message) -> None:
        if message.type == "run":
            await self._run(message)
        elif message.type == "follow":
            found = await self._service.find(message.execution, self._request[SEES])
            await self._follow(found, message)
        else:
            check_rate(self._request)
            now = await self._service.cancel(message.execution, self._request[SEES])
            document = await execution_document(self._service, now)
            await self._say({"type": "execution", "ref": message.ref, "execution": document})

    async def _run(self, message: _Message) -> None:
        check_rate(self._request)
        self._check_room()
        terms = Terms(idempotency_key=message.idempotency_key, priority=message.priority, previews=message.previews)
        owner = self._request[OWNER]
        execution, _ = await self._service.run(self._workflow, message.parameters, owner, terms)
        self._own[execution.id] = execution
        await self._follow(execution, message)

    def _check_room(self) -> None:
        if len(self._following) >= _MOST:
            raise Problem("too-many-at-once", f"One connection follows at most {_MOST} executions.", "Open another.")

    async def _follow(self, found: Execution, message: _Message) -> None:
        if found.id in self._following:
            return
        self._check_room()
        document = await execution_document(self._service, found)
        await self._say({"type": "execution", "ref": message.ref, "execution": document})
        self._following[found.id] = task = asyncio.create_task(self._tell(found, message))
        task.add_done_callback(lambda _: self._following.pop(found.id, None))

    async def _tell(self, found: Execution, message: _Message) -> None:
        with contextlib.suppress(ConnectionResetError):  # hung up
            async for event in watch(self._service, found, message.after):
                if event is None:
                    continue
                if event.name != "preview":
                    about = {"execution": found.id, "number": event.number, "data": event.data}
                    await self._say({"type": event.name, **about})
                elif message.previews and (shown := self._service.board.preview(found.id)) is not None:
                    await self._socket.send_bytes(_preview_frame(found.id, event.data, shown))
            now = await self._service.store.get(found.id) or found
            self._own.pop(found.id, None)
            document = await execution_document(self._service, now, inline=message.inline)
            await self._say({"type": "end", "ref": message.ref, "execution": document})

    async def _say(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConnectionResetError):
            await self._socket.send_str(json.dumps(message, ensure_ascii=False))

    async def end(self, *, cancel: bool) -> None:
        """Follow nothing any more; with `cancel`, what was run here and has not ended is cancelled."""
        for execution in self._own.values() if cancel else ():
            self._service.abandon(execution)
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _read(data: str | bytes) -> _Message:
    given = body.parse_json(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
    try:
        return _Message.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        cure = 'Send {"type": "run", "parameters": {…}}, or "follow" or "cancel" with an "execution".'
        raise Problem(
            "invalid-json", f"The message is none that is understood: {place}: {first['msg']}.", cure
        ) from error


def _preview_frame(id: str, told: Mapping[str, Any], shown: Preview) -> bytes:
    """The length of a JSON header as a big-endian uint32, the header, the picture."""
    head = json.dumps({"execution": id, **told, "type": shown.type}, ensure_ascii=False).encode()
    return struct.pack(">I", len(head)) + head + shown.data
