"""Broken requests by the hundred, byte by byte: none is answered with a failure of the gateway, and none ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from pathlib import Path

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import gateway
from bench.pictures import example_picture
from bench.seed import SEED
from comfy_capsule.packager.contract import Input, Target
from comfy_capsule.packager.gateway import Settings

REQUESTS = 800
#: What parsers trip over.
ODD = (
    b"\0", b"\r\n", b"\n", b"\r", b"%00", b"%ff", b"\xff\xfe", b"--", b"--a", b"--a--", b'"', b"\\", b"{", b"}",
    b"[" * 50, b"9" * 400, b"-1", b"1e999", b"NaN", b"\\ud800", b"../", b"//", b";", b",", b":", b"\xf0\x9f\x98\x80",
    b" " * 3000,
    b"chunked", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Encoding: gzip\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n",
)  # fmt: skip


def with_picture() -> object:
    """The blank capsule with a picture among its inputs, so that multipart is taken."""
    capsule = blank_capsule()
    graph = {**capsule.graph, "1": {**capsule.graph["1"], "inputs": {**capsule.graph["1"]["inputs"], "image": "x.png"}}}
    photo = Input(name="photo", type="image", targets=(Target(node="1", input="image"),))
    contract = capsule.contract.model_copy(update={"inputs": (*capsule.contract.inputs, photo)})
    return blank_capsule(graph=graph, contract=contract)


def whole_requests() -> list[tuple[bytes, bytes]]:
    """Heads, without their length, and bodies of requests that are as they should be."""

    def request(line: str, body: bytes = b"", kind: str = "application/json", more: str = "") -> tuple[bytes, bytes]:
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}"
        return head.encode(), body

    form = b"--a\r\nContent-Disposition: form-data; name=%s\r\n%s\r\n%s\r\n"
    photo = b'"photo"; filename="a.png"'
    picture = form % (photo, b"Content-Type: image/png\r\n", example_picture(4, 4))
    parameters = form % (b'"parameters"', b"Content-Type: application/json\r\n", b'{"color": 3}')
    multipart, run = "multipart/form-data; boundary=a", "POST /workflows/blank"
    body = json.dumps({"color": 3, "size": 8, "photo": {"data": "iVBORw0KGgo="}}).encode()
    return [
        request(run, body, more="Prefer: wait=1\r\nIdempotency-Key: k\r\nPriority: u=1\r\n"),
        request(run, picture + parameters + b"--a--\r\n", multipart),
        request(f"{run}/batch", b'{"items": [{"color": 1}, {"size": 2}]}'),
        request("POST /files?filename=a.png", example_picture(4, 4), "image/png"),
        request("POST /files", form % (b'"file"; filename="b"', b"", b"bytes") + b"--a--\r\n", multipart),
        request("POST /session", b'{"key": "secret"}'),
        request("GET /executions?limit=5&state=queued&before=abc&workflow=blank"),
        request("GET /executions/abc/outputs/picture/0", more="Range: bytes=0-5\r\n"),
        request("GET /executions/abc/events", more="Last-Event-ID: 3\r\n"),
        request("POST /executions/abc/cancel"),
        request(
            "GET /ws/workflows/blank",
            more="Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
    ]


def broken(dice: random.Random, data: bytes) -> bytes:
    """`data` with one to four changes."""
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) + 1)
        end = min(len(data), place + dice.randint(1, 12))
        piece = dice.choice((b"", bytes(dice.randrange(256) for _ in range(dice.randint(1, 6))), dice.choice(ODD)))
        data = data[:place] + piece + (data[place:] if dice.random() < 0.5 else data[end:])
    return data


async def status_of(port: int, data: bytes, seconds: float = 0.3) -> int:
    """The status of the answer; 0 when there is none, which is an answer, too, to half a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        try:
            async with asyncio.timeout(seconds):
                line = await reader.readline()
        except (TimeoutError, ConnectionError):
            return 0
        return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
    finally:
        writer.close()


# aiohttp warns of odd parts in their own words; pytest-xdist cannot pass on words that are no text.
@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam")
async def test_no_broken_request_breaks_anything(
    fake: FakeComfyUI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    settings = Settings(comfy=fake.url, state=tmp_path / "state", wait=1, wait_most=1, body_limit=64 * 1024)
    async with gateway(settings, with_picture()) as client:  # type: ignore[arg-type]
        port = client.server.port
        for head, body in whole_requests():
            length = f"Content-Length: {len(body)}\r\n\r\n".encode()
            assert await status_of(port, head + length + body, 10) not in (0, 500), "as they are, all are understood"
        for expected, status in ((b"100-continue", 100), (b"\xad\x91", 200)):
            livez = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: %s\r\n\r\n" % expected
            assert await status_of(port, livez, 10) == status
        statuses = set()
        for number in range(REQUESTS):
            head, body = dice.choice(whole_requests())
            if dice.random() < 0.5:
                body = broken(dice, body)
            else:
                head = broken(dice, head)
            length = len(body) if dice.random() < 0.8 else dice.choice((0, 1, len(body) + 9, 10**12))
            status = await status_of(port, head + f"Content-Length: {length}\r\n\r\n".encode() + body)
            statuses.add(status)
            assert status < 500 or status == 505, f"seed {SEED}, request {number}: {status}\n{head!r}\n{body!r}"
        assert {200, 400} <= statuses
        assert (await client.get("/livez")).status == 200
        assert (await client.post("/workflows/blank", json={"color": 1})).status == 200
    ours = [each for each in caplog.records if each.levelno >= logging.ERROR and each.name.startswith("comfy_capsule")]
    assert ours == [], f"seed {SEED}: {[each.getMessage() for each in ours]}"
