"""The routes over a stand-in engine: what the browser sends, and what it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from comfy_capsule.packager.capsule import Digests, Finding
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, Cancelled
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.versions import Keeping
from comfy_capsule.server_routes import handlers, register

HEADERS = {"X-Comfy-Capsule": "1"}
BODY = {"name": "portrait", "workflow": {"nodes": []}, "api": {}, "frontend_version": "1.58.1", "client_id": "tab"}


class Engine:
    """Stands for `packager.export`; a test sets what `act` does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "portrait-1234.capsule.zip"
        self.path.write_bytes(b"bytes")
        self.seen: dict[str, Any] = {}
        self.act: Callable[[Any, Any], None] = lambda report, cancelled: None

    def export_live(self, workflow: Any, api: Any, *, report: Any, cancelled: Any, **options: Any) -> Any:
        self.seen = {"workflow": workflow, "api": api, **options}
        report(Progress(phase="packs", item="one", done=1, total=2))
        report(Progress(phase="write"))
        self.act(report, cancelled)
        return SimpleNamespace(
            path=self.path,
            digests=Digests(environment="e" * 64, contract="c" * 64, capsule="abc" + "d" * 61),
            contract=Contract(name="portrait"),
            findings=(Finding(code="x", subject="y", message="m", cure="c"),),
            keeping=Keeping(reason="git is not installed.", cure="Install it."),
        )


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine(tmp_path)
    monkeypatch.setattr(handlers, "_engine", lambda: engine)
    return engine


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    users = SimpleNamespace(get_request_user_id=lambda request: {"": "default"}[request.headers.get("Comfy-User", "")])
    server = SimpleNamespace(routes=web.RouteTableDef(), app=web.Application(), sent=[], user_manager=users)
    server.send_sync = lambda event, data, sid=None: server.sent.append((event, json.loads(json.dumps(data)), sid))
    register(server)
    server.app.add_routes(server.routes)
    async with TestClient(TestServer(server.app)) as client:
        client.sent = server.sent
        yield client


async def export(client: TestClient, **changes: Any) -> str:
    response = await client.post("/capsule/export", json={**BODY, **changes}, headers=HEADERS)
    assert response.status == 202, await response.text()
    return (await response.json())["task"]


async def end(client: TestClient, task: str) -> dict[str, Any]:
    for _ in range(400):
        view = await (await client.get(f"/capsule/tasks/{task}")).json()
        if view["state"] not in ("queued", "running"):
            return view
        await asyncio.sleep(0.005)
    raise AssertionError(f"not done: {view}")


async def test_an_export_is_a_task_with_progress_result_and_file(client: TestClient, engine: Engine) -> None:
    task = await export(client, message="first", look_up=True)
    view = await end(client, task)
    assert engine.seen == {
        "workflow": BODY["workflow"], "api": {}, "name": "portrait", "message": "first", "frontend_version": "1.58.1",
        "look_up": True, "user": "default",
    }  # fmt: skip
    assert view["state"] == "succeeded"
    assert [event["phase"] for event in view["progress"]] == ["packs", "write"]
    assert view["result"]["id"] == "abcddddddddd"
    assert view["result"]["file"] == "portrait.capsule.zip"
    assert view["result"]["size"] == 5
    assert view["result"]["findings"][0]["code"] == "x"
    assert view["result"]["version"] is None  # that it was not kept is said, and no failure
    assert view["result"]["not_kept"] == {"message": "git is not installed.", "cure": "Install it."}
    assert str(engine.path.parent) not in json.dumps(view)
    response = await client.get(f"/capsule/tasks/{task}/file")
    assert await response.read() == b"bytes"
    assert response.headers["Content-Disposition"] == 'attachment; filename="portrait.capsule.zip"'


async def test_progress_is_pushed_to_the_tab_that_asked(client: TestClient, engine: Engine) -> None:
    task = await export(client)
    last = await end(client, task)
    assert {(event, sid) for event, _, sid in client.sent} == {("capsule.progress", "tab")}
    assert client.sent[-1][1] == last


async def test_the_event_loop_goes_on_while_the_engine_works(client: TestClient, engine: Engine) -> None:
    go = threading.Event()
    engine.act = lambda report, cancelled: go.wait(5)
    task = await export(client)
    view = await (await client.get(f"/capsule/tasks/{task}")).json()
    assert view["state"] in ("queued", "running")
    second = await export(client)
    assert (await (await client.get(f"/capsule/tasks/{second}")).json())["state"] == "queued"
    go.set()
    assert (await end(client, second))["state"] == "succeeded"


async def test_a_running_export_is_cancelled(client: TestClient, engine: Engine) -> None:
    def act(report: Any, cancelled: Any) -> None:
        while not cancelled():
            threading.Event().wait(0.005)
        raise Cancelled

    engine.act = act
    task = await export(client)
    waiting = await export(client)
    for each in (waiting, task):
        assert (await client.post(f"/capsule/tasks/{each}/cancel", json={}, headers=HEADERS)).status == 200
    assert (await end(client, task))["state"] == "cancelled"
    assert (await end(client, waiting))["state"] == "cancelled"
    assert (await client.get(f"/capsule/tasks/{task}/file")).status == 404


async def test_the_engines_error_reaches_the_user_whole(client: TestClient, engine: Engine) -> None:
    def act(report: Any, cancelled: Any) -> None:
        raise BadInput("two-marks", "Two marks reach one widget.", "Remove one.")

    engine.act = act
    view = await end(client, await export(client))
    assert view["state"] == "failed"
    sentence = {"code": "two-marks", "message": "Two marks reach one widget.", "cure": "Remove one."}
    assert view["error"] == {**sentence, "exit_status": 2}


async def test_an_unexpected_error_is_said_and_logged(
    client: TestClient, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.act = lambda report, cancelled: {}["gone"]
    view = await end(client, await export(client))
    assert view["error"]["code"] == "unexpected"
    assert "KeyError" in view["error"]["message"]
    assert "Traceback" in caplog.text


async def test_without_its_packages_the_line_that_installs_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'tomlkit'", name="tomlkit")

    monkeypatch.setattr(handlers, "_engine", missing)
    status = await (await client.get("/capsule/status")).json()
    assert status["engine"] is False
    assert "pip install -r" in status["install"]
    view = await end(client, await export(client))
    assert view["error"]["code"] == "engine-not-installed"
    assert "pip install -r" in view["error"]["cure"]


@pytest.mark.parametrize(
    ("body", "word"),
    [(b"{", "JSON"), (b"[]", "object"), (b"{}", "workflow"), (b"\xff", "JSON")]
    + [(json.dumps({**BODY, key: 3}).encode(), key) for key in ("workflow", "api", "name", "client_id")],
)
async def test_a_wrong_request_gets_one_clear_sentence(
    client: TestClient, engine: Engine, body: bytes, word: str
) -> None:
    headers = {**HEADERS, "Content-Type": "application/json"}
    response = await client.post("/capsule/export", data=body, headers=headers)
    assert response.status == 422
    assert response.content_type == "application/problem+json"
    problem = json.loads(await response.text())
    assert problem["code"] == "bad-request"
    assert word in problem["title"]


async def test_every_route_is_guarded(client: TestClient, engine: Engine) -> None:
    task = await export(client)
    await end(client, task)
    foreign = {**HEADERS, "Host": "evil.example"}
    gets = ("/capsule/status", f"/capsule/tasks/{task}", f"/capsule/tasks/{task}/file")
    elsewhere = 5  # those of versions: test_routes_versions.py
    posts = ("/capsule/snapshot", "/capsule/export", f"/capsule/tasks/{task}/cancel")
    for path in gets:
        assert (await client.get(path, headers=foreign)).status == 403, path
        assert (await client.get(path)).status == 200, path
    for path in posts:
        assert (await client.post(path, json=BODY, headers=foreign)).status == 403, path
        assert (await client.post(path, json=BODY)).status == 403, path
    assert len(gets + posts) + elsewhere == len({route.resource.canonical for route in client.app.router.routes()})


async def test_a_user_whom_comfyui_does_not_know_exports_nothing(client: TestClient, engine: Engine) -> None:
    response = await client.post("/capsule/export", json=BODY, headers={**HEADERS, "Comfy-User": "nobody"})
    assert (response.status, json.loads(await response.text())["code"]) == (403, "unknown-user")
    assert engine.seen == {}


async def test_an_unknown_task_says_so(client: TestClient) -> None:
    response = await client.get("/capsule/tasks/gone")
    assert response.status == 404
    assert json.loads(await response.text())["code"] == "no-task"
