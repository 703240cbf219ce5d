"""The client against a server that answers as ComfyUI 0.30.0 does."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from comfy_capsule.packager.comfy import ComfyClient, Event, GraphRefused, free_port
from comfy_capsule.packager.errors import BadInput, CapsuleError

GRAPH = {"7": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "My picture"}}}
NODE_ERRORS = {
    "7": {
        "class_type": "LoadImage",
        "dependent_outputs": ["9"],
        "errors": [{"type": "custom_validation_failed", "message": "Custom validation failed", "details": "no x.png"}],
    }
}


class Stub:
    """Answers what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompt: tuple[int, Any] = (200, {"prompt_id": "p", "number": 3, "node_errors": {}})
        self.asked: list[tuple[str, Any]] = []
        app = web.Application()
        app.router.add_post("/prompt", self._prompt)
        app.router.add_post("/{path:queue|interrupt}", self._command)
        app.router.add_get("/queue", self._queue)
        app.router.add_get("/history/{id}", self._history)
        app.router.add_get("/view", self._view)
        app.router.add_post("/upload/image", self._upload)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/object_info", self._broken)
        self.server = TestServer(app)

    async def _prompt(self, request: web.Request) -> web.Response:
        self.asked.append(("prompt", await request.json()))
        status, body = self.prompt
        return web.json_response(body, status=status)

    async def _command(self, request: web.Request) -> web.Response:
        self.asked.append((request.match_info["path"], await request.json()))
        return web.Response()

    async def _queue(self, _: web.Request) -> web.Response:
        item = [{}, {}, [], {}]
        pending = [[2, "c", *item], [1, "b", *item]]
        return web.json_response({"queue_running": [[0, "a", *item]], "queue_pending": pending})

    async def _history(self, request: web.Request) -> web.Response:
        done = {"outputs": {}, "status": {"status_str": "success"}}
        return web.json_response({"done": done} if request.match_info["id"] == "done" else {})

    async def _view(self, request: web.Request) -> web.Response:
        if request.query["filename"] == "gone.png":
            return web.Response(status=404)
        return web.Response(body=json.dumps(dict(request.query)).encode())

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        self.asked.append(("upload", (image.filename, image.file.read(), form["overwrite"])))
        return web.json_response({"name": image.filename, "subfolder": form["subfolder"], "type": form["type"]})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.asked.append((request.query["clientId"], await socket.receive_json()))
        await socket.send_json({"type": "executing", "data": {"node": "7", "prompt_id": "p"}})
        meta = json.dumps({"prompt_id": "p", "node_id": "7", "image_type": "image/jpeg"}).encode()
        await socket.send_bytes(struct.pack(">II", 4, len(meta)) + meta + b"JPEG")
        await socket.send_bytes(struct.pack(">II", 1, 2) + b"PNG")
        await socket.send_bytes(struct.pack(">II", 3, 1) + b"7" + "größer".encode())
        await socket.send_bytes(struct.pack(">I", 99) + b"?")
        await socket.close()
        return socket

    async def _broken(self, _: web.Request) -> web.Response:
        return web.Response(status=500, text="Traceback")


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    await stub.server.start_server()
    yield stub
    await stub.server.close()


@pytest.fixture
async def client(stub: Stub) -> AsyncIterator[ComfyClient]:
    async with ComfyClient(str(stub.server.make_url("/"))) as client:
        yield client


async def test_a_dead_port_is_one_sentence():
    async with ComfyClient(f"http://user:secret@127.0.0.1:{free_port()}") as client:
        with pytest.raises(BadInput) as caught:
            await client.system_stats()
        assert caught.value.code == "comfyui-unreachable"
        assert "secret" not in str(caught.value)
        with pytest.raises(BadInput, match="No ComfyUI answers at"):
            async with client.websocket("c"):
                pytest.fail("connected to nothing")


async def test_another_kind_of_server_is_told_apart(client: ComfyClient):
    with pytest.raises(BadInput, match="is not a ComfyUI") as caught:
        await client.system_stats()
    assert caught.value.code == "not-comfyui"
    assert await client.features() == {}


async def test_a_broken_answer_names_the_route(client: ComfyClient):
    with pytest.raises(CapsuleError, match=r"/object_info answered 500: Traceback\.") as caught:
        await client.object_info()
    assert caught.value.code == "comfyui-error"


async def test_submit_sends_our_id(stub: Stub, client: ComfyClient):
    done = await client.submit(GRAPH, prompt_id="p", client_id="c", extra_data={"k": 1})
    assert (done.prompt_id, done.number) == ("p", 3)
    assert stub.asked == [("prompt", {"prompt": GRAPH, "extra_data": {"k": 1}, "prompt_id": "p", "client_id": "c"})]


async def test_a_refusal_keeps_what_comfyui_said(stub: Stub, client: ComfyClient):
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""}
    stub.prompt = (400, {"error": error, "node_errors": NODE_ERRORS})
    with pytest.raises(GraphRefused) as caught:
        await client.submit(GRAPH)
    assert caught.value.node_errors == NODE_ERRORS
    assert caught.value.error == error
    assert "node 7 (My picture): Custom validation failed: no x.png." in caught.value.message


async def test_a_refusal_without_nodes(stub: Stub, client: ComfyClient):
    stub.prompt = (400, {"error": {"type": "no_prompt", "message": "No prompt provided"}, "node_errors": {}})
    with pytest.raises(GraphRefused, match="No prompt provided"):
        await client.submit({})


async def test_half_a_graph_does_not_run(stub: Stub, client: ComfyClient):
    stub.prompt = (200, {"prompt_id": "p", "number": 1, "node_errors": NODE_ERRORS})
    with pytest.raises(GraphRefused) as caught:
        await client.submit(GRAPH)
    assert caught.value.node_errors == NODE_ERRORS
    assert stub.asked[1:] == [("queue", {"delete": ["p"]}), ("interrupt", {"prompt_id": "p"})]


async def test_queue_and_history(client: ComfyClient):
    queue = await client.queue()
    assert (queue.running, queue.pending) == (("a",), ("b", "c"))
    assert await client.history("waiting") is None
    assert (await client.history("done") or {})["status"] == {"status_str": "success"}


async def test_files_go_both_ways(stub: Stub, client: ComfyClient):
    put = await client.upload_image(b"bytes", 'Bü "1".png', "some/where", overwrite=True)
    assert put.reference == 'some/where/Bü "1".png'
    assert stub.asked == [("upload", ('Bü "1".png', b"bytes", "true"))]
    got = json.loads(await client.view("a.png", "sub", "temp"))
    assert got == {"filename": "a.png", "subfolder": "sub", "type": "temp"}
    with pytest.raises(CapsuleError, match=r"no output file gone\.png"):
        await client.view("gone.png")


async def test_a_file_name_cannot_add_headers(client: ComfyClient):
    with pytest.raises(BadInput, match="file name"):
        await client.upload_image(b"", 'x"\r\nContent-Type: text/html\r\n\r\n.png')


async def test_the_websocket_gives_every_kind_of_message(stub: Stub, client: ComfyClient):
    async with client.websocket("me") as events:
        seen = [event async for event in events]
    assert stub.asked[0][0] == "me"
    assert stub.asked[0][1]["data"]["supports_preview_metadata"] is True
    told, preview, old_preview, text, unknown = seen
    assert told == Event(kind="executing", data={"node": "7", "prompt_id": "p"})
    assert (preview.kind, preview.data["node_id"], preview.payload) == ("preview", "7", b"JPEG")
    assert preview.data["content_type"] == "image/jpeg"
    assert (old_preview.data, old_preview.payload) == ({"content_type": "image/png"}, b"PNG")
    assert (text.kind, text.data, text.payload.decode()) == ("text", {"node_id": "7"}, "größer")
    assert (unknown.kind, unknown.payload) == ("binary-99", b"?")
