"""The routes of kept versions: what the browser is told of them, and who may ask."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bench.versions import capsule
from comfy_capsule.packager.capsule import write_capsule
from comfy_capsule.packager.versions import Version, Versions, versions_folder
from comfy_capsule.server_routes import register, versions

USERS = {"": "default", "ann": "ann_1", "ben": "ben/../default"}


@pytest.fixture
def user_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's user folder."""
    folder = tmp_path / "user"
    monkeypatch.setitem(sys.modules, "folder_paths", SimpleNamespace(get_user_directory=lambda: str(folder)))
    return folder


@pytest.fixture
def kept(user_dir: Path) -> list[Version]:
    """Two versions of the default user's, the newer one first."""
    mine = Versions(versions_folder(user_dir, "default"))
    mine.keep(capsule("first"))
    mine.keep(capsule("second", maximum=9))
    return list(mine.history("portrait"))


@pytest.fixture
async def client(user_dir: Path) -> AsyncIterator[TestClient]:
    users = SimpleNamespace(get_request_user_id=lambda request: USERS[request.headers.get("Comfy-User", "")])
    server = SimpleNamespace(routes=web.RouteTableDef(), app=web.Application(), user_manager=users)
    register(server)
    server.app.add_routes(server.routes)
    async with TestClient(TestServer(server.app)) as client:
        yield client


def paths(version: Version) -> list[str]:
    one = f"/capsule/versions/portrait/{version.commit}"
    return ["/capsule/versions", "/capsule/versions/portrait", one, f"{one}/workflow", f"{one}/capsule"]


async def test_the_versions_of_a_workflow(client: TestClient, kept: list[Version]) -> None:
    said = await (await client.get("/capsule/versions/portrait")).json()
    assert said["versions"] == [version.model_dump(mode="json") for version in kept]
    assert [each["contract"] for each in said["versions"]] == ["breaking", "first"]
    all_of_them = await (await client.get("/capsule/versions")).json()
    assert [(each["name"], each["versions"]) for each in all_of_them["workflows"]] == [("portrait", 2)]
    assert all_of_them["bytes"]["files"] > 0
    assert await (await client.get("/capsule/versions/other")).json() == {"versions": []}


async def test_one_version_with_what_it_changed(client: TestClient, kept: list[Version]) -> None:
    newest, first = kept
    said = await (await client.get(f"/capsule/versions/portrait/{newest.commit}")).json()
    assert said["version"]["message"] == "second"
    assert said["changes"]["contract"]["verdict"] == "breaking"
    assert said["changes"]["before"]["commit"] == first.commit
    said = await (await client.get(f"/capsule/versions/portrait/{first.commit}")).json()
    assert said["changes"] is None
    said = await (await client.get(f"/capsule/versions/portrait/{first.commit}?since={newest.commit}")).json()
    assert said["changes"]["contract"]["verdict"] == "widened"


async def test_its_workflow_and_its_capsule(client: TestClient, kept: list[Version], tmp_path: Path) -> None:
    *_, workflow, file = paths(kept[1])
    assert (await (await client.get(workflow)).json())["said"] == "first"
    response = await client.get(file)
    write_capsule(capsule("first"), tmp_path / "w.zip")
    assert await response.read() == (tmp_path / "w.zip").read_bytes()
    name = f"portrait-{kept[1].id}.capsule.zip"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.headers["Cache-Control"] == "no-store"


async def test_every_route_is_guarded(client: TestClient, kept: list[Version], monkeypatch: pytest.MonkeyPatch) -> None:
    for path in paths(kept[0]):
        assert (await client.get(path)).status == 200, path
        assert (await client.get(path, headers={"Host": "evil.example"})).status == 403, path
        assert (await client.get(path, headers={"Origin": "http://evil.example"})).status == 403, path
        assert (await client.get(path, headers={"X-Forwarded-For": "10.0.0.7"})).status == 403, path
        assert (await client.get(path, headers={"Comfy-User": "nobody"})).status == 403, path
    monkeypatch.setitem(sys.modules, "comfy.cli_args", SimpleNamespace(args=SimpleNamespace(listen="0.0.0.0")))
    for path in paths(kept[0]):
        assert (await client.get(path)).status == 403, path
    monkeypatch.setenv("COMFY_CAPSULE_ALLOW", "read")
    for path in paths(kept[0]):
        assert (await client.get(path)).status == 200, path


async def test_each_user_sees_only_their_own(client: TestClient, kept: list[Version], user_dir: Path) -> None:
    for user in ("ann", "ben"):  # an id that is no name of a folder leads to none of another's
        headers = {"Comfy-User": user}
        assert await (await client.get("/capsule/versions/portrait", headers=headers)).json() == {"versions": []}
        for path in paths(kept[0])[2:]:
            assert (await client.get(path, headers=headers)).status == 404, path
    Versions(versions_folder(user_dir, "ann_1")).keep(capsule("of Ann"))
    said = await (await client.get("/capsule/versions/portrait", headers={"Comfy-User": "ann"})).json()
    assert [each["message"] for each in said["versions"]] == ["of Ann"]


def test_they_lie_where_comfyuis_own_routes_do_not_reach(user_dir: Path) -> None:
    """ComfyUI refuses every user whose id begins with two underscores (app/user_manager.py, 0.30.0)."""
    for user in ("default", "ann_1", "../default", "a" * 300):
        folder = versions_folder(user_dir, user)
        assert folder.relative_to(user_dir).parts[0].startswith("__")
        assert ".." not in folder.parts


@pytest.mark.parametrize("version", ["main", "HEAD", "ffff", "0" * 40, "..%2F..%2Fx", "--all"])
async def test_only_a_commit_that_the_server_named_is_found(
    client: TestClient, kept: list[Version], version: str
) -> None:
    for end in ("", "/workflow", "/capsule"):
        response = await client.get(f"/capsule/versions/portrait/{version}{end}")
        assert (response.status, json.loads(await response.text())["code"]) == (404, "no-version")
    assert (await client.get(f"/capsule/versions/..%2Fdefault%2Fportrait/{kept[0].commit}")).status == 404


async def test_without_its_packages_the_line_that_installs_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'tomlkit'", name="tomlkit")

    monkeypatch.setattr(versions, "_module", missing)
    said = json.loads(await (await client.get("/capsule/versions")).text())
    assert said["code"] == "engine-not-installed"
