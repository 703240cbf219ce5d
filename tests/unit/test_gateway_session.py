"""The page's session: an API key traded for a cookie that nobody can forge, use from elsewhere, or keep for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.gateway import Settings, read_settings
from comfy_capsule.packager.gateway.keys import read_key
from comfy_capsule.packager.gateway.session import COOKIE, LIFE, Sessions


def settings_with_keys(fake: FakeComfyUI, folder: Path) -> Settings:
    (folder / "keys").write_text("ann secret-a\nbob secret-b\n")
    return read_settings({}, folder / "keys", comfy=fake.url, state=folder / "state", wait=5.0)


async def test_a_key_is_traded_for_a_cookie(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_with_keys(fake, tmp_path)) as client:
        for path in ("/", "/docs", "/page/app.mjs", "/page/docs.mjs", "/page/style.css"):
            assert (await client.get(path)).status == 200, path
        assert (await client.get("/session")).status == 401
        wrong = await client.post("/session", json={"key": "wrong"})
        assert (wrong.status, (await wrong.json())["code"]) == (401, "unauthorised")
        assert (await client.post("/session", json=["secret-a"])).status == 401

        answer = await client.post("/session", json={"key": "secret-a"})
        assert answer.status == 204
        set_cookie = answer.headers["Set-Cookie"]
        assert set_cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        assert "secret-a" not in set_cookie
        assert (await (await client.get("/session")).json()) == {"needed": True}
        execution = await (await client.post(BLANK, json={})).json()
        assert execution["state"] == "succeeded"
        bob = {"X-API-Key": "secret-b", "Cookie": ""}
        assert (await client.get(f"/executions/{execution['id']}", headers=bob)).status == 404, "a key goes first"
        foreign = {"Origin": "https://elsewhere.example"}
        assert (await client.post(BLANK, json={}, headers=foreign)).status == 403
        assert (await client.post("/session", json={"key": "secret-a"}, headers=foreign)).status == 403

        assert (await client.delete("/session")).status == 204
        assert (await client.get("/workflows")).status == 401


async def test_without_keys_nobody_is_asked(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state")) as client:
        assert (await (await client.get("/session")).json()) == {"needed": False}


async def test_the_page_loads_nothing_from_elsewhere(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_with_keys(fake, tmp_path)) as client:
        answer = await client.get("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        for path in ("/page/../routes.py", "/page/..%2froutes.py", "/page/nothing.mjs", "/page/%2e%2e/auth.py"):
            assert (await client.get(path)).status in (401, 404), path


def test_a_cookie_is_worth_nothing_when_forged_old_or_of_a_gone_key(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = read_key("ann secret-a"), read_key("bob secret-b")
    assert ann is not None
    assert bob is not None
    sessions = Sessions(b"a" * 32, [ann, bob])
    cookie = sessions.make(ann)
    assert sessions.key(cookie) == ann
    assert Sessions(b"a" * 32, [ann]).key(cookie) == ann
    assert Sessions(b"a" * 32, [bob]).key(cookie) is None
    assert Sessions(bytes(32), [ann]).key(cookie) is None
    until, _, signature = cookie.split(".")
    for forged in ("", "x", "..", f"{until}.{bob.sha256[:16]}.{signature}", f"f{cookie}", cookie[:-1], f"{cookie}é"):
        assert sessions.key(forged) is None, forged
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + LIFE + 1)
    assert sessions.key(cookie) is None
