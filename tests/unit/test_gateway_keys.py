"""What an API key may: its scopes, its rate, how many executions at once; and who sees whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Key, Settings, read_settings
from comfy_capsule.packager.gateway.keys import Rates, read_key


def settings_with(fake: FakeComfyUI, folder: Path, *lines: str, **more: Any) -> Settings:
    (folder / "keys").write_text("\n".join(lines))
    return read_settings({}, folder / "keys", comfy=fake.url, state=folder / "state", wait=5.0, **more)


def test_options_stand_after_the_key() -> None:
    key = read_key("ann secret scopes=read+admin rate=120/min concurrency=4")
    assert key is not None
    assert (key.name, key.scopes, key.rate, key.burst, key.concurrency) == ("ann", {"read", "admin"}, 2, 120, 4)
    plain = read_key("secret rate=3/s")
    assert plain is not None
    assert (plain.name[:4], plain.scopes, plain.rate) == ("key-", {"run", "read"}, 3)


@pytest.mark.parametrize(
    "line", ["ann hush more", "ann hush scopes=all", "ann hush rate=9", "ann hush rate=0/s", "a hush concurrency=-1"]
)
def test_a_line_that_cannot_be_used_is_refused_and_not_quoted(line: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_key(line)
    assert refused.value.code == "bad-key-file"
    assert "hush" not in str(refused.value)


def test_two_keys_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="one name"):
        read_settings({"COMFY_CAPSULE_API_KEYS": "ann one,ann two"}, comfy="http://x", state=tmp_path)


def test_a_rate_lets_its_count_through_and_then_one_by_one() -> None:
    clock = [0.0]
    key = Key(name="ann", sha256="0", rate=2, burst=3)
    rates = Rates([key], lambda: clock[0])
    assert [rates.take(key) for _ in range(4)] == [0, 0, 0, 0.5]
    clock[0] = 0.5
    assert [rates.take(key) for _ in range(2)] == [0, 0.5]
    clock[0] = 1000.0
    assert [rates.take(key) for _ in range(4)] == [0, 0, 0, 0.5]
    assert Rates([]).take(Key(name="bob", sha256="0")) == 0


async def test_scopes_say_what_a_key_may(fake: FakeComfyUI, tmp_path: Path) -> None:
    lines = ("ann a scopes=run", "bob b scopes=read", "root r scopes=admin", "eve e")
    async with gateway(settings_with(fake, tmp_path, *lines)) as client:
        ann, bob, root, eve = ({"X-API-Key": key} for key in "abre")
        made = await (await client.post(BLANK, json={}, headers=eve)).json()
        place = f"/executions/{made['id']}"
        for headers, method, path, status in (
            (ann, "POST", BLANK, 200), (ann, "GET", "/executions", 403), (ann, "GET", "/metrics", 403),
            (bob, "POST", BLANK, 403), (bob, "POST", "/files", 403), (bob, "GET", "/executions", 200),
            (bob, "GET", place, 404), (root, "GET", place, 200), (eve, "GET", place, 200), (root, "POST", BLANK, 200),
        ):  # fmt: skip
            answer = await client.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert answer.status == status, (headers, method, path)
            if status == 403:
                assert (await answer.json())["code"] == "forbidden-scope"
        listed = await (await client.get("/executions", headers=root)).json()
        assert len(listed["executions"]) == 3, "everybody's"
        assert (await client.get("/livez", headers=ann)).status == 200
        assert (await client.post(f"{place}/cancel", headers=root)).status == 409


async def test_a_key_is_held_to_its_rate_and_its_concurrency(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    lines = ("ann a concurrency=2", "bob b rate=2/h")
    async with gateway(settings_with(fake, tmp_path, *lines, lanes=1)) as client:
        ann = {"X-API-Key": "a", "Prefer": "respond-async"}
        assert [(await client.post(BLANK, json={}, headers=ann)).status for _ in range(3)] == [202, 202, 429]
        full = await client.post(f"{BLANK}/batch", json={"items": [{}]}, headers=ann)
        assert (full.status, (await full.json())["code"]) == (429, "too-many-at-once")
        bob = {"X-API-Key": "b", "Prefer": "respond-async"}
        answers = [await client.post(BLANK, json={}, headers=bob) for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]
        assert (await answers[-1].json())["code"] == "rate-limited"
        assert 1700 < int(answers[-1].headers["Retry-After"]) <= 1800
        assert (await client.get("/executions", headers=bob)).status == 200, "reading is not counted"
        fake.hold.set()
