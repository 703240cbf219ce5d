"""Files that a caller gives by URL, from a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bench.fake_comfyui import PIXEL, FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway, state_of
from bench.pictures import example_picture
from bench.stranger import Stranger, giving
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.contract import Contract, Input, Output, Target, client
from comfy_capsule.packager.gateway import Settings, read_settings

PHOTO = example_picture(16, 16)


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    async with Stranger(giving(PHOTO)) as server:
        yield server


def settings_for(fake: FakeComfyUI, state: Path, stranger: Stranger, **more: Any) -> Settings:
    asked = {"fetch_http": True, "fetch_ports": (stranger.port,), "fetch_allow": ("127.0.0.1/32",)}
    return read_settings({}, comfy=fake.url, state=state, **{"wait": 5.0, "file_limit": 100_000, **asked, **more})


def two_pictures() -> Capsule:
    """A workflow that reads `photo` and `other`."""
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "y.png"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    inputs = (
        Input(name="photo", type="image", required=True, targets=(Target(node="1", input="image"),)),
        Input(name="other", type="image", targets=(Target(node="2", input="image"),)),
    )
    outputs = (Output(name="picture", type="image", nodes=("3",)),)
    return blank_capsule(graph=graph, contract=Contract(name="blank", inputs=inputs, outputs=outputs))


async def test_pictures_are_fetched_checked_and_kept_once(
    fake: FakeComfyUI, tmp_path: Path, stranger: Stranger
) -> None:
    async with gateway(settings_for(fake, tmp_path, stranger), two_pictures()) as asked:
        sent = {"photo": {"url": stranger.url("/a/me.png?key=hidden")}, "other": {"url": stranger.url("/photo?id=3")}}
        answer = await asked.post(BLANK, json=sent)
        execution = await answer.json()
        assert answer.status == 200, execution
        name = f"capsule/{hashlib.sha256(PHOTO).hexdigest()[:40]}.png"
        graph = fake.submitted[-1]
        assert graph["1"]["inputs"]["image"] == graph["2"]["inputs"]["image"] == name
        assert fake.uploads[name] == PHOTO
        file = await asked.get(f"/files/{execution['parameters']['photo']['file']}")
        assert (await file.read(), file.content_type) == (PHOTO, "image/png")
        assert "me.png" in file.headers["Content-Disposition"]
        again = await (await asked.post(BLANK, json=sent)).json()
        assert again["parameters"] == execution["parameters"]
        assert len([path for path in (tmp_path / "blobs").glob("*/*") if path.read_bytes() == PHOTO]) == 1
    assert b"hidden" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


async def test_neither_the_url_nor_its_answer_steers_a_header_or_a_path(
    fake: FakeComfyUI, tmp_path: Path, stranger: Stranger
) -> None:
    async with gateway(settings_for(fake, tmp_path, stranger), two_pictures()) as asked:
        stranger.answer = giving(PHOTO, "image/x*y")
        for path in ("/a%0d%0aX-Odd%3A%201.png", "/..%2f..%2fx.png", "/..", "/%00", '/a".png'):
            made = await (await asked.post(BLANK, json={"photo": {"url": stranger.url(path)}})).json()
            file = await asked.get(f"/files/{made['parameters']['photo']['file']}")
            assert (file.status, file.content_type) == (200, "image/png")
            assert "X-Odd" not in file.headers
            assert fake.submitted[-1]["1"]["inputs"]["image"].startswith("capsule/")
            assert ".." not in fake.submitted[-1]["1"]["inputs"]["image"]


async def test_what_waits_for_nobody_has_its_files_already(
    fake: FakeComfyUI, tmp_path: Path, stranger: Stranger
) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, stranger), two_pictures()) as asked:
        sent = {"photo": {"url": stranger.url("/me.png")}}
        answer = await asked.post(BLANK, json=sent, headers={"Prefer": "respond-async"})
        execution = await answer.json()
        assert (answer.status, len(stranger.asked)) == (202, 1)
        await stranger.__aexit__()
        fake.hold.set()
        await state_of(asked, execution["id"], "succeeded")


@pytest.mark.parametrize(
    ("url", "answer", "code"),
    [
        ("http://127.0.0.2:{port}/x.png", giving(PHOTO), "url-refused"),
        ("https://127.0.0.1:{port}/x.png", giving(PHOTO), "url-failed"),
        ("http://127.0.0.1:{port}/x.png", giving(b"", status=404), "url-failed"),
        ("http://127.0.0.1:{port}/x.png", giving(b"<html>", "text/html"), "url-failed"),
        ("http://127.0.0.1:{port}/x.png", giving(b"<html>", "image/png"), "bad-media"),
        ("http://127.0.0.1:{port}/x.png", giving(b"x" * 200_000), "url-failed"),
        ("file:///etc/passwd", giving(PHOTO), "invalid-parameters"),
    ],
)
async def test_a_url_that_gives_no_picture_is_named_with_its_parameter(
    fake: FakeComfyUI, tmp_path: Path, url: str, answer: Any, code: str
) -> None:
    async with Stranger(giving(PHOTO)) as good, Stranger(answer) as stranger:
        settings = settings_for(fake, tmp_path, stranger, fetch_ports=(good.port, stranger.port))
        async with gateway(settings, two_pictures()) as asked:
            photo = url.format(port=stranger.port)
            said = await asked.post(BLANK, json={"photo": {"url": photo}, "other": {"url": good.url()}})
            problem = await said.json()
            assert (said.status, problem["code"], problem["parameter"]) == (422, code, "photo")
            assert fake.submitted == []
            assert (await (await asked.get("/executions")).json())["executions"] == []


async def test_a_known_idempotency_key_is_answered_without_asking_the_url_again(
    fake: FakeComfyUI, tmp_path: Path, stranger: Stranger
) -> None:
    async with gateway(settings_for(fake, tmp_path, stranger), two_pictures()) as asked:
        header, sent = {"Idempotency-Key": "k"}, {"photo": {"url": stranger.url("/1.png")}}
        first = await (await asked.post(BLANK, json=sent, headers=header)).json()
        stranger.answer = giving(b"", status=403)  # a signed URL that has lapsed
        second = await (await asked.post(BLANK, json=sent, headers=header)).json()
        assert (first["id"], len(stranger.asked)) == (second["id"], 1)
        other = await asked.post(BLANK, json={"photo": {"url": stranger.url("/2.png")}}, headers=header)
        assert (await other.json())["code"] == "idempotency-conflict"


async def test_the_python_client_takes_a_url_for_a_file(fake: FakeComfyUI, tmp_path: Path, stranger: Stranger) -> None:
    capsule = two_pictures()
    async with gateway(settings_for(fake, tmp_path / "state", stranger), capsule) as asked:
        program = tmp_path / "client.py"
        program.write_text(client(capsule.contract, "python", str(asked.make_url("/"))))
        (tmp_path / "other.png").write_bytes(example_picture(8, 8))
        words = [str(program), f"photo={stranger.url('/me.png')}", "other=other.png"]
        run = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=tmp_path)
        assert await run.wait() == 0
        assert set(fake.uploads.values()) == {PHOTO, example_picture(8, 8)}
        assert (tmp_path / "picture-0").read_bytes().startswith(PIXEL)


async def test_the_schema_tells_the_form(fake: FakeComfyUI, tmp_path: Path, stranger: Stranger) -> None:
    async with gateway(settings_for(fake, tmp_path, stranger), two_pictures()) as asked:
        schema = await (await asked.get(f"{BLANK}/schema")).json()
        forms = {each["title"]: each for each in schema["properties"]["photo"]["oneOf"]}
        assert forms["By URL"]["properties"]["url"]["pattern"] == "^https?://"
    header = {"$ref": "#/components/parameters/WebhookURL"}
    for secrets, told in (((), False), (("whsec_" + "QUJD" * 8,), True)):
        async with gateway(settings_for(fake, tmp_path, stranger, webhook_secrets=secrets), two_pictures()) as asked:
            run = (await (await asked.get("/openapi.json")).json())["paths"][BLANK]["post"]
            assert (header in run["parameters"]) == ("callbacks" in run) == told, "only where they are sent"
