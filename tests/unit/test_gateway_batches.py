"""Batches: all queued or none, each item by itself, one handle to look at and to cancel, one webhook."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.gateway import Settings, read_settings
from comfy_capsule.packager.gateway.models import NewBatch
from comfy_capsule.packager.gateway.store import SqlStore

BATCH = f"{BLANK}/batch"


def settings_for(fake: FakeComfyUI, folder: Path, **more: Any) -> Settings:
    return Settings(comfy=fake.url, state=folder / "state", wait=5.0, **more)


def items(*colors: int) -> dict[str, Any]:
    return {"items": [{"color": color} for color in colors]}


async def end_of(client: Any, id: str, **headers: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            batch = await (await client.get(f"/batches/{id}", **headers)).json()
            if batch["state"] == "ended":
                return dict(batch)
            await asyncio.sleep(0.02)


async def test_each_item_is_an_execution(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        answer = await client.post(BATCH, json=items(1, 2, 3))
        made = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (202, f"/batches/{made['id']}")
        assert (made["total"], len(made["items"])) == (3, 3)
        batch = await end_of(client, made["id"])
        assert batch["states"] == {"succeeded": 3}
        runs = [await (await client.get(each["url"])).json() for each in batch["items"]]
        assert [run["parameters"]["color"] for run in runs] == [1, 2, 3]
        assert {run["batch"] for run in runs} == {made["id"]}
        assert all(run["outputs"]["picture"] for run in runs)
        again = await client.post(f"/batches/{made['id']}/cancel")
        assert (again.status, (await again.json())["code"]) == (409, "already-finished")


async def test_all_are_queued_or_none(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path, batch_limit=3, queue_bound=4, lanes=1)) as client:
        for body, status, code in (
            ({"items": [{"color": 1}, {"color": -1}]}, 422, "invalid-parameters"),
            ({"items": []}, 422, "batch-size"),
            (items(1, 2, 3, 4), 422, "batch-size"),
            ({"items": {}}, 400, "invalid-json"),
            ({"items": [], "more": 1}, 400, "invalid-json"),
            ([], 400, "invalid-json"),
        ):
            answer = await client.post(BATCH, json=body)
            said = await answer.json()
            assert (answer.status, said["code"]) == (status, code), body
        assert (await (await client.post(BATCH, json={"items": [{}, {"size": 0}]})).json())["item"] == 1
        assert (await client.post(BATCH, data=b"x", headers={"Content-Type": "text/plain"})).status == 415
        assert (await client.post("/workflows/nobody/batch", json=items(1))).status == 404
        assert (await (await client.get("/executions")).json())["executions"] == []
        fake.hold.clear()
        assert (await client.post(BATCH, json=items(1, 2, 3))).status == 202
        full = await client.post(BATCH, json=items(1, 2, 3))
        assert (full.status, (await full.json())["code"]) == (429, "queue-full")
        fake.hold.set()


async def test_cancelling_stops_what_waits_and_what_runs(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, lanes=1)) as client:
        id = (await (await client.post(BATCH, json=items(1, 2, 3))).json())["id"]
        async with asyncio.timeout(5):
            while (await (await client.get(f"/batches/{id}")).json())["states"].get("running") != 1:
                await asyncio.sleep(0.02)
        assert (await client.post(f"/batches/{id}/cancel")).status in (200, 202)
        assert (await end_of(client, id))["states"] == {"cancelled": 3}


async def test_an_item_fails_by_itself(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        fake.failing, fake.fails = "1", lambda graph: graph["1"]["inputs"]["color"] == 1
        batch = await end_of(client, (await (await client.post(BATCH, json=items(1, 2))).json())["id"])
        assert batch["states"] == {"failed": 1, "succeeded": 1}
        assert [each["state"] for each in batch["items"]] == ["failed", "succeeded"]
        assert batch["items"][0]["problem"]["code"] == "node-failed"


async def test_a_batch_belongs_to_its_key_and_is_made_once(fake: FakeComfyUI, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("ann secret-a\nbob secret-b\n")
    settings = read_settings({}, tmp_path / "keys", comfy=fake.url, state=tmp_path / "state")
    async with gateway(settings) as client:
        ann, bob = {"X-API-Key": "secret-a"}, {"X-API-Key": "secret-b"}
        once = {**ann, "Idempotency-Key": "one"}
        first, second = [await (await client.post(BATCH, json=items(1), headers=once)).json() for _ in range(2)]
        assert first["id"] == second["id"]
        assert (await client.post(BATCH, json=items(2), headers=once)).status == 409
        await end_of(client, first["id"], headers=ann)
        assert (await client.get(f"/batches/{first['id']}", headers=bob)).status == 404
        assert (await client.post(f"/batches/{first['id']}/cancel", headers=bob)).status == 404
        assert len((await (await client.get("/executions", headers=ann)).json())["executions"]) == 1


async def test_its_one_webhook_waits_for_the_last_of_it(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'gateway.sqlite'}")
    new = NewBatch(workflow="w", capsule="c", owner="o", items=({}, {}), webhook="https://example.com/")
    batch, _ = await store.batches.add(new, bound=10)
    for _ in range(2):
        assert await store.webhooks.claim(5, 10) == []
        run = await store.claim("worker", ["w"], 10)
        assert run is not None
        await store.finish(run.id, run.token, "succeeded", 1.0)
    [webhook] = await store.webhooks.claim(5, 10)
    assert (webhook.execution, webhook.url) == (batch.id, "https://example.com/")
    assert await store.forget(2.0, 10) == (0, 0), "its end is still to be told"
    await store.webhooks.settle(webhook.model_copy(update={"state": "delivered"}))
    assert await store.forget(2.0, 1) == (1, 0)
    assert await store.batches.get(batch.id) is not None
    assert await store.forget(2.0, 10) == (1, 0)
    assert await store.batches.get(batch.id) is None
    assert await store.webhooks.get(batch.id) is None
    await store.close()


async def test_the_state_of_an_older_gateway_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    store = SqlStore(f"sqlite:///{path}")
    await store.close()
    with sqlite3.connect(path) as connection:
        for index in ("executions_by_batch", "executions_in_turn"):
            connection.execute(f"DROP INDEX {index}")
        for column in ("batch", "priority", "previews"):
            connection.execute(f"ALTER TABLE executions DROP COLUMN {column}")
        connection.execute("CREATE INDEX executions_by_state ON executions (state, seq)")
        connection.execute("DROP TABLE batches")
        connection.execute("UPDATE about SET value = '1' WHERE name = 'schema'")
    for _ in range(2):
        store = SqlStore(f"sqlite:///{path}")
        new = NewBatch(workflow="w", capsule="c", owner="o", items=({},))
        assert (await store.batches.add(new, bound=10))[0].total == 1
        await store.close()
