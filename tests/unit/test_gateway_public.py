"""A workflow that is public among others that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings, read_settings, serve_capsules


def other() -> object:
    """The same workflow by another name, in the same environment."""
    capsule = blank_capsule()
    lock = capsule.lock.model_copy(update={"name": "closed"})
    return blank_capsule(lock=lock, contract=capsule.contract.model_copy(update={"name": "closed"}))


def settings_for(fake: FakeComfyUI, folder: Path, lines: str = "ann secret-a\n") -> Settings:
    (folder / "keys").write_text(lines)
    given = {"comfy": fake.url, "state": folder / "state", "wait": 5.0, "public": ("blank",)}
    return read_settings({}, folder / "keys", **given)


async def test_it_is_run_and_seen_without_a_key_and_nothing_else_is(fake: FakeComfyUI, tmp_path: Path) -> None:
    ann = {"X-API-Key": "secret-a"}
    async with gateway(settings_for(fake, tmp_path), blank_capsule(), other()) as client:  # type: ignore[arg-type]
        execution = await (await client.post(BLANK, json={"color": 3})).json()
        assert execution["state"] == "succeeded"
        ((file,),) = execution["outputs"].values()
        for path in (f"/executions/{execution['id']}", file["url"], BLANK, f"{BLANK}/schema"):
            assert (await client.get(path)).status == 200, path
        listed = (await (await client.get("/workflows")).json())["workflows"]
        assert [each["name"] for each in listed] == ["blank"]
        assert len((await (await client.get("/workflows", headers=ann)).json())["workflows"]) == 2
        hers = await (await client.post("/workflows/closed", json={}, headers=ann)).json()
        for method, path, status in (
            ("POST", "/workflows/closed", 401),
            ("GET", "/workflows/closed/schema", 401),
            ("GET", "/executions", 401),
            ("GET", "/metrics", 401),
            ("GET", f"/executions/{hers['id']}", 404),
            ("POST", f"/executions/{hers['id']}/cancel", 404),
        ):
            assert (await client.request(method, path)).status == status, path
        wrong = await client.post(BLANK, json={}, headers={"X-API-Key": "wrong"})
        assert wrong.status == 200, "it needs none"
        assert (await client.get(f"/executions/{execution['id']}", headers=ann)).status == 404, "it is not hers"
        async with client.ws_connect("/ws/workflows/blank") as socket:
            await socket.send_json({"type": "run"})
            assert (await socket.receive_json())["type"] == "execution"


async def test_what_cannot_be_public_is_said(fake: FakeComfyUI, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="named 'public'"):
        settings_for(fake, tmp_path, "public secret-a\n")
    settings = Settings(comfy="http://127.0.0.1:9", state=tmp_path / "state", public=("gone",))
    with pytest.raises(BadInput, match="'gone'"):
        serve_capsules([blank_capsule()], settings)
