"""Webhooks: the end of an execution, told to a real server on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from standardwebhooks import Webhook, WebhookVerificationError

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway, state_of
from bench.stranger import Stranger, giving
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings, read_settings, webhooks
from comfy_capsule.packager.gateway.webhook_store import SqlWebhooks

OLD, NEW = (f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"o", b"n"))
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_POLL", 0.05)
    monkeypatch.setattr(webhooks, "_GRACE", 0.5)


@pytest.fixture
async def receiver() -> AsyncIterator[Stranger]:
    async with Stranger(giving(b"", status=204)) as server:
        yield server


def settings_for(fake: FakeComfyUI, state: Path, *receivers: Stranger, **more: Any) -> Settings:
    asked = {
        "fetch_http": True, "fetch_ports": tuple(each.port for each in receivers), "fetch_allow": ("127.0.0.1/32",),
        "webhook_secrets": (NEW, OLD), "webhook_delay": 0.01, "webhook_tries": 3, "webhook_timeout": 1.0,
    }  # fmt: skip
    return read_settings({}, comfy=fake.url, state=state, **{"wait": 5.0, **asked, **more})


async def run(
    client: TestClient[Any, Any], receiver: Stranger, path: str = "/hook?token=hidden", **headers: str
) -> Any:
    """The answer's body to a run with a webhook."""
    answer = await client.post(BLANK, json={"color": 7654321}, headers={"Webhook-URL": receiver.url(path), **headers})
    return await answer.json()


async def delivery(client: TestClient[Any, Any], id: str, *wanted: str) -> dict[str, Any]:
    """The execution's ``webhook`` once its state is one of `wanted`."""
    async with asyncio.timeout(8):
        while True:
            execution = await (await client.get(f"/executions/{id}")).json()
            if execution["webhook"]["state"] in wanted:
                return dict(execution["webhook"])
            await asyncio.sleep(0.02)


async def test_the_end_is_told_once_signed_by_every_secret_and_without_parameters(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        made = await run(client, receiver)
        told = await delivery(client, made["id"], "delivered")
        assert (told["attempts"], told["last_status"], told["last_error"]) == (1, 204, None)
        assert told["delivered_at"]
        assert told["next_attempt_at"] is None
        await asyncio.sleep(0.1)
        (asked,) = receiver.asked
        execution = await (await client.get(f"/executions/{made['id']}")).json()
        del execution["parameters"], execution["webhook"]
        for secret in (OLD, NEW):
            message = Webhook(secret).verify(asked.body, asked.headers)
            assert (message["type"], message["data"]) == ("execution.succeeded", execution)
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(asked.body + b" ", asked.headers)
        assert asked.headers["content-type"] == "application/json"
        assert b"7654321" not in asked.body
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("comfy_capsule"))
    assert "webhook delivered" in logged
    for hidden in ("hidden", "7654321", OLD, NEW):
        assert hidden not in logged


async def test_a_failed_and_a_cancelled_execution_are_told_too(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        fake.failing = "1"
        failed = await run(client, receiver)
        await delivery(client, failed["execution"], "delivered")
        fake.hold.clear()
        waiting = await run(client, receiver, **ASYNC)
        assert waiting["webhook"] == {
            "state": "waiting", "attempts": 0, "last_status": None, "last_error": None, "next_attempt_at": None,
            "delivered_at": None,
        }  # fmt: skip
        await client.post(f"/executions/{waiting['id']}/cancel")
        await delivery(client, waiting["id"], "delivered")
        types = [json.loads(asked.body)["type"] for asked in receiver.asked]
        assert types == ["execution.failed", "execution.cancelled"]
        assert json.loads(receiver.asked[0].body)["data"]["problem"]["code"] == "node-failed"


async def test_it_is_tried_again_with_the_same_id_until_it_is_taken(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    answers = [500, 302, 200]

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0), headers={"Location": receiver.url("/elsewhere")})

    receiver.answer = answer
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        told = await delivery(client, (await run(client, receiver))["id"], "delivered")
        assert (told["attempts"], told["last_status"]) == (3, 200)
        assert {asked.path for asked in receiver.asked} == {"/hook?token=hidden"}  # no redirect was followed
        assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
        assert len({asked.body for asked in receiver.asked}) == 1


async def _silent(_: web.Request) -> web.Response:
    await asyncio.sleep(1)
    return web.Response()


@pytest.mark.parametrize(
    ("answer", "attempts", "status"),
    [(giving(b"", status=500), 2, 500), (giving(b"", status=410), 1, 410), (_silent, 2, None)],
)
async def test_after_the_last_try_it_is_dead(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger, answer: Any, attempts: int, status: int | None
) -> None:
    receiver.answer = answer
    patience = 0.1 if status is None else 10  # a busy machine may take a while to answer
    settings = settings_for(fake, tmp_path, receiver, webhook_tries=2, webhook_timeout=patience)
    async with gateway(settings) as client:
        told = await delivery(client, (await run(client, receiver))["id"], "dead")
        assert (told["attempts"], told["last_status"], told["next_attempt_at"]) == (attempts, status, None)
        assert told["last_error"]
        assert len(receiver.asked) == attempts


async def test_retry_after_is_waited_for(fake: FakeComfyUI, tmp_path: Path, receiver: Stranger) -> None:
    receiver.answer = giving(b"", status=503, **{"Retry-After": "3000"})
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        made = await run(client, receiver)
        async with asyncio.timeout(5):
            while (told := await delivery(client, made["id"], "pending"))["last_status"] is None:
                await asyncio.sleep(0.02)
        later = datetime.fromisoformat(told["next_attempt_at"]) - datetime.fromisoformat(made["finished_at"])
        assert 2990 < later.total_seconds() < 3100


def test_pauses_grow_and_are_never_all_the_same() -> None:
    for attempt, seconds in [(1, 5), (2, 25), (3, 125), (7, 21600), (20, 21600)]:
        drawn = {webhooks.pause(attempt, 5) for _ in range(50)}
        assert len(drawn) > 40
        assert seconds * 0.5 <= min(drawn) <= seconds * 0.9
        assert seconds * 1.1 <= max(drawn) <= seconds * 1.5


async def test_deliveries_go_on_after_a_death_of_the_gateway(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    receiver.answer = giving(b"", status=500)
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, receiver, webhook_tries=50, webhook_delay=0.2)) as client:
        waiting = await run(client, receiver, **ASYNC)
        fake.hold.set()
        await delivery(client, waiting["id"], "pending")
        fake.hold.clear()
        running = await run(client, receiver, **ASYNC)
        await state_of(client, running["id"], "running")
    fake.hold.set()
    receiver.answer = giving(b"", status=200)
    receiver.asked.clear()
    async with gateway(settings_for(fake, tmp_path, receiver, lease=1.0)) as client:
        for each in (waiting, running):
            assert (await delivery(client, each["id"], "delivered"))["last_status"] == 200
        assert sorted(asked.headers["webhook-id"] for asked in receiver.asked) == sorted(
            f"msg_{each['id']}" for each in (waiting, running)
        )


async def test_a_webhook_into_the_network_of_the_gateway_is_refused(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        here = str(client.make_url("/executions/x/cancel"))
        urls = [
            f"http://127.0.0.2:{receiver.port}/", f"http://localhost.:{receiver.port}/", "file:///etc/passwd",
            f"http://u:p@127.0.0.1:{receiver.port}/", f"http://2130706433:{receiver.port}/", here, "x",
            f"http://127.0.0.1:{receiver.port}/a b",
        ]  # fmt: skip
        for url in urls:
            answer = await client.post(BLANK, json={}, headers={"Webhook-URL": url})
            problem = await answer.json()
            assert (answer.status, problem["code"], problem["header"]) == (422, "url-refused", "Webhook-URL"), url
        assert (fake.submitted, receiver.asked) == ([], [])


async def test_a_webhook_to_the_gateway_itself_is_refused(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    settings = settings_for(fake, tmp_path, receiver)
    async with gateway(settings.model_copy(update={"fetch_ports": range(1, 65536)})) as client:
        answer = await client.post(BLANK, json={}, headers={"Webhook-URL": str(client.make_url("/x"))})
        problem = await answer.json()
        assert (problem["code"], "this gateway itself" in problem["detail"]) == ("url-refused", True)
        # Through a proxy it cannot be known beforehand: then it is refused when it comes.
        forged = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        answer = await client.post(BLANK, json={}, headers=forged)
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden-origin")


async def test_a_store_that_fails_for_a_while_stops_no_webhook(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, failures = SqlWebhooks.claim, iter(range(3))

    async def failing(self: SqlWebhooks, most: int, lease: float) -> Any:
        if next(failures, None) is not None:
            raise sqlite3.OperationalError("database is locked")
        return await claim(self, most, lease)

    monkeypatch.setattr(SqlWebhooks, "claim", failing)
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        await delivery(client, (await run(client, receiver))["id"], "delivered")


async def test_webhooks_are_off_without_a_secret(fake: FakeComfyUI, tmp_path: Path, receiver: Stranger) -> None:
    async with gateway(settings_for(fake, tmp_path, receiver, webhook_secrets=())) as client:
        answer = await client.post(BLANK, json={}, headers={"Webhook-URL": receiver.url()})
        assert (answer.status, (await answer.json())["code"]) == (422, "webhooks-off")
        execution = await (await client.post(BLANK, json={})).json()
        assert "webhook" not in execution


async def test_who_does_not_ask_for_one_has_none(fake: FakeComfyUI, tmp_path: Path, receiver: Stranger) -> None:
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        made = await (await client.post(BLANK, json={})).json()
        assert "webhook" not in await (await client.get(f"/executions/{made['id']}")).json()
        await asyncio.sleep(0.1)
        assert receiver.asked == []


async def test_the_same_idempotency_key_is_told_of_once(fake: FakeComfyUI, tmp_path: Path, receiver: Stranger) -> None:
    async with gateway(settings_for(fake, tmp_path, receiver)) as client:
        key = {"Idempotency-Key": "k"}
        first, second = await run(client, receiver, **key), await run(client, receiver, **key)
        assert first["id"] == second["id"]
        other = await run(client, receiver, "/other", **key)
        assert other["code"] == "idempotency-conflict"
        await delivery(client, first["id"], "delivered")
        await asyncio.sleep(0.1)
        assert len(receiver.asked) == 1


async def test_its_state_belongs_to_the_key_of_the_execution(
    fake: FakeComfyUI, tmp_path: Path, receiver: Stranger
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ann secret-a\nbob secret-b\n")
    settings = settings_for(fake, tmp_path / "state", receiver)
    settings = settings.model_copy(update={"keys": read_settings({}, keys, comfy=fake.url).keys})
    async with gateway(settings) as client:
        made = await run(client, receiver, **{"X-API-Key": "secret-a"})
        assert (await client.get(f"/executions/{made['id']}", headers={"X-API-Key": "secret-b"})).status == 404
        assert "hidden" not in json.dumps(made)


def test_secrets_come_from_the_environment_or_a_file_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# the old one\n{OLD}\n\n")
    environment = {"COMFY_CAPSULE_WEBHOOK_SECRETS": NEW, "COMFY_CAPSULE_WEBHOOK_SECRET_FILE": str(file)}
    settings = read_settings(environment, comfy="http://x")
    assert [each.get_secret_value() for each in settings.webhook_secrets] == [NEW, OLD]
    assert OLD[6:] not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    for wrong in ("whsec_c2hvcnQ=", OLD[6:], "whsec_!!!"):
        with pytest.raises(BadInput, match="webhook_secrets") as refused:
            read_settings({"COMFY_CAPSULE_WEBHOOK_SECRETS": wrong}, comfy="http://x")
        assert wrong not in str(refused.value)


async def test_what_another_gateway_ran_is_told_as_well(fake: FakeComfyUI, tmp_path: Path, receiver: Stranger) -> None:
    """Two gateways, one store: the end is seen in the store, and told by one of them."""
    settings = settings_for(fake, tmp_path, receiver)
    async with gateway(settings, blank_capsule()) as one, gateway(settings, blank_capsule()) as two:
        for client in (one, two):
            ids = [(await run(client, receiver))["id"] for _ in range(4)]
            for id in ids:
                await delivery(two, id, "delivered")
        assert len(receiver.asked) == len({asked.headers["webhook-id"] for asked in receiver.asked}) == 8
