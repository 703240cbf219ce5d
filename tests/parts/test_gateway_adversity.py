"""A full disk, a locked store, a clock that jumps, a client that does not read: told, survived, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.disk import small_disk
from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4, lazily=True) as place:
        yield place


async def test_a_full_disk_is_told_of_and_survived(fake: FakeComfyUI, disk: Path) -> None:
    async with gateway(Settings(comfy=fake.url, state=disk / "state", wait=5)) as client:
        assert (await client.post(BLANK, json={"color": 1})).status == 200
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * (8 << 20))
        answer = await client.post("/files", data=b"y" * 300_000)
        assert (answer.status, (await answer.json())["code"]) == (503, "store-failed")
        codes = set()
        for color in range(2, 40):
            answer = await client.post(BLANK, json={"color": color, "size": color})
            codes.add("" if answer.status == 200 else (await answer.json())["code"])
        assert codes <= {"", "store-failed", "output-missing"}, "each is told as what it is"
        assert codes - {""}, "the disk is full"
        assert (await client.get("/livez")).status == 200
        filler.unlink()
        async with asyncio.timeout(10):
            while (await client.post(BLANK, json={"color": 99})).status != 200:
                await asyncio.sleep(0.1)


async def test_a_store_that_stays_locked_is_told_of(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfy_capsule.packager.gateway.database._PATIENCE", 0.3)
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", wait=5)) as client:
        await client.post(BLANK, json={})
        held = sqlite3.connect(tmp_path / "state" / "gateway.sqlite", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        answer = await client.post(BLANK, json={})
        assert (answer.status, (await answer.json())["code"]) == (503, "store-failed")
        held.execute("ROLLBACK")
        held.close()
        async with asyncio.timeout(10):
            while (await client.post(BLANK, json={})).status != 200:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("jump", [5 * 3600.0, -5 * 3600.0])
async def test_a_clock_that_jumps_runs_nothing_twice(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    fake.hold.clear()
    real = time.time
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", wait=5, lease=0.6)) as client:
        ids = [(await (await client.post(BLANK, json={"color": n}, headers=ASYNC)).json())["id"] for n in range(4)]
        await state_of(client, ids[0], "running")
        monkeypatch.setattr("time.time", lambda: real() + jump)
        await asyncio.sleep(1.0)  # leases are renewed, and what was left behind is looked for
        fake.hold.set()
        for id in ids:
            assert (await state_of(client, id, "succeeded"))["attempts"] == 1
        assert len(fake.submitted) == 4


async def test_who_does_not_read_holds_nobody_up(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", wait=5)) as client:
        stored = await (await client.post("/files", data=b"z" * 20_000_000)).json()
        slow = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port, limit=1024)
            writer.write(f"GET /files/{stored['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            slow.append((reader, writer))
        begun = time.monotonic()
        for color in range(10):
            assert (await client.post(BLANK, json={"color": color})).status == 200
        assert time.monotonic() - begun < 5
        for _, writer in slow:
            writer.close()
