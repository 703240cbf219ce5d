"""A stand-in for ComfyUI's web API (server.py, 0.30.0), for what a real one does not do on demand.

It "runs" a graph at once: every SaveImage gives a picture, every PreviewAny a text. What it must do otherwise is said
by its attributes. It lives in the test's event loop.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

CLASSES = ("EmptyImage", "LoadImage", "SaveImage", "PreviewAny", "SaveThree")
PIXEL = b"\x89PNG\r\n\x1a\nnot really a picture"


class FakeComfyUI:
    """Attributes steer it: `hold` (cleared: nothing ends), `failing` (a node id that raises, in the graphs that
    `fails`, what `error` says), `refusing` (a node id whose validation fails), `deaf` (ignores interrupts), `silent`
    (its websocket tells nothing), `sick` (it cannot tell of its device), `classes`, and `required` (class → its
    required inputs).

    What came is in `submitted` (graphs, in order), `extra` (what came with each), `uploads` (name → bytes) and
    `prompts` (ids).
    """

    def __init__(self) -> None:
        self.hold = asyncio.Event()
        self.hold.set()
        self.failing = self.refusing = ""
        self.fails: Callable[[dict[str, Any]], bool] = lambda graph: True
        self.error = ("ValueError", "no such colour\n")
        self.deaf = self.silent = self.sick = False
        self.classes = list(CLASSES)
        self.files: dict[tuple[str, str], bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.required: dict[str, dict[str, Any]] = {}
        self.submitted: list[dict[str, Any]] = []
        self.extra: list[dict[str, Any]] = []
        self.prompts: list[str] = []
        self._waiting: list[tuple[str, str, dict[str, Any]]] = []
        self._running: tuple[str, str, dict[str, Any]] | None = None
        self._interrupted = asyncio.Event()
        self._history: dict[str, Any] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._work = asyncio.Event()
        app = web.Application(client_max_size=2**28)
        app.add_routes(
            [
                web.get("/system_stats", self._stats),
                web.get("/object_info", self._object_info),
                web.post("/prompt", self._prompt),
                web.get("/queue", self._queue),
                web.post("/queue", self._delete),
                web.get("/history/{id}", self._entry),
                web.post("/interrupt", self._interrupt),
                web.get("/view", self._view),
                web.post("/upload/image", self._upload),
                web.get("/ws", self._socket),
            ]
        )
        self._server = TestServer(app)

    async def __aenter__(self) -> FakeComfyUI:
        await self._server.start_server()
        self._runner = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._runner.cancel()
        await self.cut()
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def cut(self) -> None:
        """Close every websocket."""
        for socket in list(self._sockets.values()):
            with suppress(Exception):
                await socket.close()

    async def die(self) -> None:
        """As if it were killed and started again: queue and history are gone."""
        self._runner.cancel()
        self._waiting.clear()
        self._running = None
        self._history.clear()
        await self.cut()
        self._runner = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._work.clear()
                await self._work.wait()
            self._running = prompt, client, graph = self._waiting.pop(0)
            self._interrupted.clear()
            await self._tell(client, "execution_start", {"prompt_id": prompt})
            await self._tell(client, "executing", {"node": "1", "display_node": "1", "prompt_id": prompt})
            stopped = await self._held()
            if not stopped and not (self.failing and self.fails(graph)):
                outputs = await self._outputs(prompt, client, graph)
                status: dict[str, Any] = {"status_str": "success", "completed": True, "messages": []}
                await self._tell(client, "execution_success", {"prompt_id": prompt})
            else:
                outputs, status = (
                    {},
                    {"status_str": "error", "completed": False, "messages": [self._end(prompt, stopped)]},
                )
                await self._tell(client, *status["messages"][0])
            self._history[prompt] = {"prompt": [0, prompt, graph], "outputs": outputs, "status": status, "meta": {}}
            self._running = None
            await self._tell(client, "executing", {"node": None, "prompt_id": prompt})

    async def _held(self) -> bool:
        waits = [asyncio.ensure_future(self.hold.wait()), asyncio.ensure_future(self._interrupted.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._interrupted.is_set()

    def _end(self, prompt: str, stopped: bool) -> tuple[str, dict[str, Any]]:
        if stopped:
            return "execution_interrupted", {"prompt_id": prompt, "node_id": "1"}
        exception, message = self.error
        what = {"node_id": self.failing, "exception_message": message, "exception_type": exception}
        return "execution_error", {"prompt_id": prompt, **what, "node_type": "EmptyImage"}

    async def _outputs(self, prompt: str, client: str, graph: dict[str, Any]) -> dict[str, Any]:
        outputs = {}
        for id, node in graph.items():
            name = f"{prompt}_{id}.png"
            picture = {"filename": name, "subfolder": "some", "type": "output"}
            if node["class_type"] == "SaveImage":
                self.files["some", name] = PIXEL + json.dumps(graph).encode()
                outputs[id] = {"images": [picture], "animated": [False]}
            elif node["class_type"] == "PreviewAny":
                outputs[id] = {"text": ["hello", "world"], "facts": [{"a": 1}]}
            elif node["class_type"] == "SaveThree":
                self.files["some", name] = PIXEL
                outputs[id] = {"gifs": [{**picture, "format": "video/h264-mp4"}], "more": [picture, picture]}
            if id in outputs:
                told = {"node": id, "display_node": id, "output": outputs[id], "prompt_id": prompt}
                await self._tell(client, "executed", told)
        return outputs

    async def progress(self, value: int, most: int) -> None:
        """Tell how far what runs is."""
        assert self._running is not None
        prompt, client, _ = self._running
        node = {"node_id": "1", "display_node_id": "1", "state": "running", "value": value, "max": most}
        await self._tell(client, "progress_state", {"prompt_id": prompt, "nodes": {"1": node}})

    async def preview(self, data: bytes, type: str = "image/jpeg") -> None:
        """Show a picture of what runs (protocol.py, 0.30.0: PREVIEW_IMAGE_WITH_METADATA)."""
        assert self._running is not None
        prompt, client, _ = self._running
        head = json.dumps({"prompt_id": prompt, "node_id": "1", "display_node_id": "1", "image_type": type}).encode()
        await self._sockets[client].send_bytes(struct.pack(">II", 4, len(head)) + head + data)

    async def _tell(self, client: str, kind: str, data: dict[str, Any]) -> None:
        socket = self._sockets.get(client)
        if socket is not None and not self.silent:
            with suppress(Exception):
                await socket.send_json({"type": kind, "data": data})

    async def _stats(self, _: web.Request) -> web.Response:
        if self.sick:
            return web.Response(status=500)
        return web.json_response({"system": {"comfyui_version": "0.30.0", "argv": []}, "devices": []})

    async def _object_info(self, _: web.Request) -> web.Response:
        return web.json_response({name: {"input": {"required": self.required.get(name, {})}} for name in self.classes})

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.refusing:
            reason = {"type": "value_not_in_list", "message": "Value not in list", "details": "width", "extra_info": {}}
            wrong = {self.refusing: {"class_type": "EmptyImage", "errors": [reason], "dependent_outputs": ["2"]}}
            error = {"type": "prompt_outputs_failed_validation", "message": "failed", "details": "", "extra_info": {}}
            return web.json_response({"error": error, "node_errors": wrong}, status=400)
        self.submitted.append(body["prompt"])
        self.extra.append(body.get("extra_data", {}))
        self.prompts.append(body["prompt_id"])
        self._waiting.append((body["prompt_id"], body.get("client_id", ""), body["prompt"]))
        self._work.set()
        return web.json_response({"prompt_id": body["prompt_id"], "number": len(self.prompts), "node_errors": {}})

    async def _queue(self, _: web.Request) -> web.Response:
        running = [[0, self._running[0], {}, {}, []]] if self._running else []
        pending = [[1 + place, item[0], {}, {}, []] for place, item in enumerate(self._waiting)]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _delete(self, request: web.Request) -> web.Response:
        ids = (await request.json())["delete"]
        self._waiting = [item for item in self._waiting if item[0] not in ids]
        return web.Response()

    async def _entry(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        return web.json_response({id: self._history[id]} if id in self._history else {})

    async def _interrupt(self, request: web.Request) -> web.Response:
        if self._running and (await request.json())["prompt_id"] == self._running[0] and not self.deaf:
            self._interrupted.set()
        return web.Response()

    async def _view(self, request: web.Request) -> web.Response:
        data = self.files.get((request.query["subfolder"], request.query["filename"]))
        return web.Response(status=404) if data is None else web.Response(body=data, content_type="image/png")

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        field = form["image"]
        assert isinstance(field, web.FileField)
        self.uploads[f"{form['subfolder']}/{field.filename}"] = field.file.read()
        return web.json_response({"name": field.filename, "subfolder": form["subfolder"], "type": "input"})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[request.query["clientId"]] = socket
        await socket.send_json({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}})
        async for _ in socket:
            pass
        return socket
