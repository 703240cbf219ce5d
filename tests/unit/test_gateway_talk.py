"""Runs over a websocket, and previews, in front of a stand-in ComfyUI."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings, read_settings

PLACE = "/ws/workflows/blank"
JPEG = b"\xff\xd8 a picture"


@pytest.fixture
def settings(tmp_path: Path, fake: FakeComfyUI) -> Settings:
    return read_settings({}, comfy=fake.url, state=tmp_path, wait=5.0, cancel_grace=0.5, lease=1.0)


def with_keys(fake: FakeComfyUI, folder: Path, lines: str) -> Settings:
    (folder / "keys").write_text(lines)
    return read_settings({}, folder / "keys", comfy=fake.url, state=folder / "state", wait=5.0)


async def until(socket: ClientWebSocketResponse, *wanted: str) -> dict[str, Any]:
    """The next message of one of these types."""
    while True:
        said = await socket.receive_json(timeout=5)
        if said["type"] in wanted:
            return dict(said)


async def test_a_run_is_told_from_its_beginning_to_its_end(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client, client.ws_connect(PLACE) as socket:
        await socket.send_json({"type": "run", "ref": "a", "parameters": {"color": 7}, "inline": True})
        made = await until(socket, "execution")
        id = made["execution"]["id"]
        assert (made["ref"], made["execution"]["parameters"]) == ("a", {"color": 7, "size": 64})
        await state_of(client, id, "running")
        await fake.progress(3, 9)
        while (told := await until(socket, "progress"))["data"].get("value") != 3:
            pass
        assert (told["execution"], told["data"]["max"]) == (id, 9)
        fake.hold.set()
        ended = await until(socket, "end")
        assert (ended["ref"], ended["execution"]["state"]) == ("a", "succeeded")
        (picture,) = ended["execution"]["outputs"]["picture"]
        assert picture["data"], "inline"


async def test_previews_come_as_bytes_to_whom_asked_for_them(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client, client.ws_connect(PLACE) as asked, client.ws_connect(PLACE) as other:
        await asked.send_json({"type": "run", "previews": True})
        id = (await until(asked, "execution"))["execution"]["id"]
        await state_of(client, id, "running")
        await other.send_json({"type": "follow", "execution": id})
        await until(other, "execution")
        await fake.preview(JPEG)
        while (message := await asked.receive(timeout=5)).type != WSMsgType.BINARY:
            pass
        (size,) = struct.unpack_from(">I", message.data)
        head = json.loads(message.data[4 : 4 + size])
        assert head == {
            "execution": id,
            "type": "image/jpeg",
            "node": {"id": "1", "class": "EmptyImage", "title": "Blank"},
        }
        assert message.data[4 + size :] == JPEG
        answer = await client.get(f"/executions/{id}/preview")
        assert (answer.content_type, await answer.read()) == ("image/jpeg", JPEG)
        events = await client.get(f"/executions/{id}/events")
        fake.hold.set()
        assert b"event: preview" in await events.read()
        await until(asked, "end")
        while (message := await other.receive(timeout=5)).json()["type"] != "end":
            assert message.type == WSMsgType.TEXT
        assert (await client.get(f"/executions/{id}/preview")).status == 404
        assert fake.extra[-1]["preview_method"] == "auto"


async def test_without_asking_there_are_no_previews(settings: Settings, fake: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        id = (await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json())["id"]
        await state_of(client, id, "running")
        await fake.preview(JPEG)
        await fake.preview(b"<script>", "text/html")
        await asyncio.sleep(0.1)
        assert (await client.get(f"/executions/{id}/preview")).status == 404
        assert "preview_method" not in fake.extra[-1]
        fake.hold.set()


async def test_what_is_wrong_is_said_and_the_talk_goes_on(settings: Settings) -> None:
    async with gateway(settings) as client, client.ws_connect(PLACE) as socket:
        for sent, code in (
            ("{", "invalid-json"),
            ("[]", "invalid-json"),
            ('{"type": "dance"}', "invalid-json"),
            ('{"type": "run", "extra": 1}', "invalid-json"),
            ('{"type": "run", "parameters": {"color": "red"}}', "invalid-parameters"),
            ('{"type": "run", "parameters": {"colour": 1}}', "invalid-parameters"),
            ('{"type": "follow", "execution": "nothing"}', "unknown-execution"),
            ('{"type": "cancel", "execution": "nothing"}', "unknown-execution"),
        ):
            await socket.send_str(sent)
            assert (await until(socket, "problem"))["problem"]["code"] == code, sent
        await socket.send_json({"type": "run"})
        assert (await until(socket, "end"))["execution"]["state"] == "succeeded"


async def test_it_is_cancelled_by_a_word_or_by_hanging_up_if_that_was_asked(
    settings: Settings, fake: FakeComfyUI
) -> None:
    fake.hold.clear()
    async with gateway(settings) as client:
        ids = []
        for query in ("", "?cancel_on_disconnect=true"):
            async with client.ws_connect(PLACE + query) as socket:
                await socket.send_json({"type": "run"})
                ids.append((await until(socket, "execution"))["execution"]["id"])
        await state_of(client, ids[1], "cancelled")
        assert (await (await client.get(f"/executions/{ids[0]}")).json())["state"] == "running", "nobody asked for it"
        async with client.ws_connect(PLACE) as socket:
            await socket.send_json({"type": "follow", "execution": ids[0]})
            await socket.send_json({"type": "cancel", "execution": ids[0], "ref": "stop"})
            assert (await until(socket, "end"))["execution"]["state"] == "cancelled"


async def test_only_who_may_run_may_talk(fake: FakeComfyUI, tmp_path: Path) -> None:
    lines = "ann secret-a rate=2/h\nbob secret-b scopes=read\n"
    async with gateway(with_keys(fake, tmp_path, lines)) as client:
        for headers, status in (
            ({}, 401),
            ({"X-API-Key": "secret-b"}, 403),
            ({"X-API-Key": "secret-a", "Origin": "https://elsewhere.example"}, 403),
        ):
            with pytest.raises(WSServerHandshakeError) as refused:
                await client.ws_connect(PLACE, headers=headers)
            assert refused.value.status == status
        async with client.ws_connect(PLACE, headers={"X-API-Key": "secret-a"}) as socket:
            for _ in range(3):
                await socket.send_json({"type": "run"})
            codes = [(await until(socket, "execution", "problem"))["type"] for _ in range(3)]
            assert sorted(codes) == ["execution", "execution", "problem"], "each run counts for the rate"
        answer = await client.get(PLACE, headers={"X-API-Key": "secret-a"})
        assert (answer.status, (await answer.json())["code"]) == (400, "no-websocket")
