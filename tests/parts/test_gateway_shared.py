"""Several gateways at one PostgreSQL: what one is asked another may run, and none is missed when it is gone."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bench.fake_comfyui import PIXEL, FakeComfyUI
from bench.gateway_here import BLANK, gateway, state_of
from bench.postgres import PASSWORD, Postgres
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings, read_settings, settings_text
from comfy_capsule.packager.gateway.keys import read_key

ASYNC = {"Prefer": "respond-async"}


class Gateways:
    """Gateways of one database, each in front of a ComfyUI of its own."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self._database, self._folder = server.new_database(uuid.uuid4().hex), folder

    def at(self, fake: FakeComfyUI, name: str, **more: Any) -> AbstractAsyncContextManager[Any]:
        settings = Settings(
            comfy=fake.url, state=self._folder / name, database=self._database, blobs=self._folder / "blobs",
            lease=0.6, wait=8.0, **more,
        )  # fmt: skip
        return gateway(settings)


@pytest.fixture
def gateways(server: Postgres, tmp_path: Path) -> Gateways:
    return Gateways(server, tmp_path)


async def test_the_work_of_one_is_everybodys(gateways: Gateways, fake: FakeComfyUI, other: FakeComfyUI) -> None:
    fake.hold.clear()
    async with gateways.at(fake, "a") as asked, gateways.at(other, "b") as beside:
        answer = await asked.post(f"{BLANK}/batch", json={"items": [{"color": each} for each in range(12)]})
        assert answer.status == 202
        async with asyncio.timeout(8):
            while (await (await beside.get(answer.headers["Location"])).json())["states"].get("succeeded", 0) < 10:
                await asyncio.sleep(0.05)
        fake.hold.set()
        async with asyncio.timeout(8):
            while (batch := await (await asked.get(answer.headers["Location"])).json())["states"] != {"succeeded": 12}:
                await asyncio.sleep(0.05)
        assert len(fake.submitted) + len(other.submitted) == 12, "none ran twice"
        for item in batch["items"]:
            execution = await (await asked.get(f"/executions/{item['id']}")).json()
            ((file,),) = execution["outputs"].values()
            assert (await (await beside.get(file["url"])).read()).startswith(PIXEL)


async def test_who_signs_in_at_one_is_signed_in_at_all(gateways: Gateways, fake: FakeComfyUI) -> None:
    keys = [read_key("ann secret-a")]
    async with gateways.at(fake, "a", keys=keys) as asked, gateways.at(fake, "b", keys=keys) as beside:
        answer = await asked.post("/session", json={"key": "secret-a"})
        assert answer.status in (200, 204), await answer.text()
        cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        assert (await beside.get("/executions", headers=cookie)).status == 200
        assert (await beside.get("/executions")).status == 401


async def test_who_waits_here_hears_of_what_ran_there(
    gateways: Gateways, fake: FakeComfyUI, other: FakeComfyUI
) -> None:
    fake.hold.clear()
    async with gateways.at(fake, "a", lanes=1) as asked, gateways.at(other, "b"):
        first = (await (await asked.post(BLANK, json={"color": 1}, headers=ASYNC)).json())["id"]
        await state_of(asked, first, "running")
        key = {"Idempotency-Key": "order-1"}
        answers = await asyncio.gather(*(asked.post(BLANK, json={"color": 2}, headers=key) for _ in range(3)))
        assert {answer.status for answer in answers} == {200}
        assert len({(await answer.json())["id"] for answer in answers}) == 1
        assert (len(fake.submitted), len(other.submitted)) == (1, 1)
        fake.hold.set()
        await state_of(asked, first, "succeeded")


async def test_a_cancel_reaches_the_gateway_that_runs_it(
    gateways: Gateways, fake: FakeComfyUI, other: FakeComfyUI
) -> None:
    fake.hold.clear()
    async with gateways.at(fake, "a") as runs, gateways.at(other, "b") as asked:
        id = (await (await runs.post(BLANK, json={}, headers=ASYNC)).json())["id"]
        await state_of(runs, id, "running")
        answer = await asked.post(f"/executions/{id}/cancel")
        assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")


async def test_what_a_dead_gateway_left_is_run_by_another(
    gateways: Gateways, fake: FakeComfyUI, other: FakeComfyUI
) -> None:
    fake.hold.clear()
    async with gateways.at(other, "b") as survivor:
        async with gateways.at(fake, "a") as dies:
            other.hold.clear()
            ids = [(await (await dies.post(BLANK, json={"color": n}, headers=ASYNC)).json())["id"] for n in range(2)]
            for id in ids:
                await state_of(survivor, id, "running")
        await fake.die()
        other.hold.set()
        for id in ids:
            execution = await state_of(survivor, id, "succeeded")
            assert execution["state"] == "succeeded"


async def test_a_database_that_is_away_stops_nothing_for_good(
    gateways: Gateways, server: Postgres, fake: FakeComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfy_capsule.packager.gateway.database._PATIENCE", 0.3)
    async with gateways.at(fake, "a") as client:
        server.stop()
        try:
            answer = await client.post(BLANK, json={})
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (503, "store-failed")
            assert PASSWORD not in str(problem)
            await asyncio.sleep(1.5)  # the worker asks it, too
            assert (await client.get("/livez")).status == 200
        finally:
            server.start()
        async with asyncio.timeout(8):
            while (await client.post(BLANK, json={})).status != 200:
                await asyncio.sleep(0.1)


def test_the_password_of_the_database_is_never_told(tmp_path: Path) -> None:
    (tmp_path / "database").write_text(f"postgresql://me:{PASSWORD}@db/gateway\n")
    environment = {"COMFY_CAPSULE_DATABASE_FILE": str(tmp_path / "database"), "COMFY_CAPSULE_BLOBS": str(tmp_path)}
    settings = read_settings(environment, comfy="http://127.0.0.1:8188")
    assert settings.database.get_secret_value().endswith("@db/gateway")
    assert PASSWORD not in f"{settings!r}{settings_text(settings)}"


@pytest.mark.parametrize("given", [{"DATABASE": "sqlite:///x.sqlite"}, {"DATABASE": "postgresql://db/gateway"}])
def test_a_shared_database_needs_a_shared_folder_and_a_server(given: dict[str, str]) -> None:
    environment = {f"COMFY_CAPSULE_{name}": value for name, value in given.items()}
    with pytest.raises(BadInput, match="database"):
        read_settings(environment, comfy="http://127.0.0.1:8188")
