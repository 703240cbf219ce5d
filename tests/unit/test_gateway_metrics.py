"""What Prometheus is told: executions by how they ended, requests by their route, the queue and the worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from comfy_capsule.packager.gateway import Settings, read_settings
from comfy_capsule.packager.gateway.metrics import Metrics


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the order of their names."""
    families = text_string_to_metric_families(text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


async def told(client: Any) -> dict[tuple[str, ...], float]:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    return samples(await answer.text())


async def test_executions_and_requests_are_counted(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", wait=5.0)) as client:
        for color in range(3):
            await client.post(BLANK, json={"color": color})
        await client.post(BLANK, json={"nobody": 1})
        await client.get("/executions/no-such")
        await client.get("/nothing/here")
        fake.hold.clear()
        waiting = await (await client.post(BLANK, json={}, headers={"Prefer": "respond-async"})).json()
        await client.post(f"/executions/{waiting['id']}/cancel")
        fake.hold.set()
        await state_of(client, waiting["id"], "cancelled")
        found = await told(client)
        assert found["workflow_executions_total", "succeeded", "blank"] == 3
        assert found["workflow_executions_total", "cancelled", "blank"] == 1
        assert found["workflow_execution_duration_seconds_count", "queued", "blank"] == 4
        run = ("api_request_duration_seconds_count", "POST", "/workflows/{name}")
        assert found[*run, "200"] == 3
        assert found[*run, "202"] == 1
        assert found[*run, "422"] == 1
        assert found["api_request_duration_seconds_count", "GET", "/executions/{id}", "404"] == 1
        assert found["api_request_duration_seconds_count", "GET", "other", "404"] == 1
        assert (found["queue_depth",], found["active_workers",]) == (0, 1)
        assert found["worker_restarts_total", "worker-0"] == 0


async def test_the_queue_is_told(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", lanes=1, wait=0)) as client:
        for _ in range(3):
            await client.post(BLANK, json={})
        assert (await told(client))["queue_depth",] == 2
        fake.hold.set()


async def test_metrics_need_a_key_where_there_are_keys(fake: FakeComfyUI, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("ann secret-a\n")
    settings = read_settings({}, tmp_path / "keys", comfy=fake.url, state=tmp_path / "state")
    async with gateway(settings) as client:
        assert (await client.get("/metrics")).status == 401
        assert (await client.get("/metrics", headers={"X-API-Key": "secret-a"})).status == 200


def test_what_a_worker_is() -> None:
    backend = SimpleNamespace(generation=3, model_loads=5, peak_memory=4096)
    worker = SimpleNamespace(name="worker-0", not_ready="It starts.", backend=backend)
    found = samples(Metrics().text([worker], waiting=7).decode())
    assert found["queue_depth",] == 7
    assert found["active_workers",] == 0
    assert found["worker_restarts_total", "worker-0"] == 2
    assert found["worker_model_loads_total", "worker-0"] == 5
    assert found["worker_peak_memory_bytes", "worker-0"] == 4096
