"""What the gateway refuses, and in which words."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import BadContentDispositionHeader, BadContentDispositionParam
from PIL import Image

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway, state_of
from bench.pictures import example_picture
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings, read_settings, serve_capsules
from comfy_capsule.packager.gateway.keys import read_key
from comfy_capsule.packager.gateway.log import log_to_stderr
from comfy_capsule.packager.gateway.problems import CODES

DOCS = Path(__file__).parents[2] / "docs" / "gateway.md"
GATEWAY = Path(__file__).parents[2] / "packager" / "gateway"


def settings_for(fake: FakeComfyUI, state: Path, **more: Any) -> Settings:
    return read_settings({}, comfy=fake.url, state=state, **{"wait": 5.0, **more})


def _form(*fields: bytes) -> bytes:
    """A multipart body with boundary ``a`` whose every part is a field ``color``."""
    parts = [b'--a\r\nContent-Disposition: form-data; name="color"\r\n\r\n%s\r\n' % field for field in fields]
    return b"".join(parts) + b"--a--"


@pytest.mark.parametrize(
    ("sent", "parameter"),
    [
        ({"colour": 1}, "colour"),
        ({"color": "red"}, "color"),
        ({"color": -1}, "color"),
        ({"color": 1, "size": 9000}, "size"),
        ({"color": True}, "color"),
        ({"color": None}, "color"),
        ([1], None),
    ],
)
async def test_parameters_outside_the_contract_are_named(
    fake: FakeComfyUI, tmp_path: Path, sent: object, parameter: str | None
) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        answer = await client.post(BLANK, json=sent)
        problem = await answer.json()
        assert (answer.status, problem["code"], problem.get("parameter")) == (422, "invalid-parameters", parameter)
        assert answer.content_type == "application/problem+json"
        assert fake.submitted == []


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("POST", BLANK, b"{", "application/json"), 400, "invalid-json"),
        (("POST", BLANK, b'{"color": NaN}', "application/json"), 400, "invalid-json"),
        (("POST", BLANK, b"[" * 100_000, "application/json"), 400, "invalid-json"),
        (("POST", BLANK, b"\xff", "application/json"), 400, "invalid-json"),
        (("POST", BLANK, b"color: 1", "application/yaml"), 415, "unsupported-media-type"),
        (("POST", BLANK, b" " * 300_000, "application/json"), 413, "body-too-large"),
        (("POST", BLANK, b"x", "multipart/form-data"), 400, "bad-request"),
        (("POST", BLANK, b"x", "multipart/form-data; boundary=y"), 400, "bad-request"),
        (("POST", "/files", b"x" * 5000, "image/png"), 413, "body-too-large"),
        (("POST", "/workflows/other", b"{}", "application/json"), 404, "unknown-workflow"),
        (("GET", "/executions/nothing", b"", ""), 404, "unknown-execution"),
        (("GET", "/executions/a%00b", b"", ""), 400, "bad-request"),
        (("GET", "/executions?workflow=a%00b", b"", ""), 400, "bad-request"),
        (("POST", "/executions/nothing/cancel", b"", ""), 404, "unknown-execution"),
        (("GET", "/files/nothing", b"", ""), 404, "unknown-file"),
        (("GET", "/prompt", b"", ""), 404, "not-found"),
        (("DELETE", BLANK, b"", ""), 405, "method-not-allowed"),
        (("GET", "/executions?limit=many", b"", ""), 400, "invalid-query"),
        (("POST", BLANK + "?inline=perhaps", b"{}", "application/json"), 400, "invalid-query"),
    ],
)
async def test_what_cannot_be_read_or_found_is_a_problem_document(
    fake: FakeComfyUI, tmp_path: Path, request_: tuple[str, str, bytes, str], status: int, code: str
) -> None:
    method, path, data, kind = request_
    async with gateway(settings_for(fake, tmp_path, body_limit=200_000, file_limit=4096)) as client:
        headers = {"Content-Type": kind} if kind else {}
        answer = await client.request(method, path, data=data or None, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (status, code)
        assert answer.content_type == "application/problem+json"


async def test_a_full_queue_says_when_to_come_back(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, queue_bound=2, lanes=1, wait=0)) as client:
        answers = [await client.post(BLANK, json={}) for _ in range(4)]
        assert [answer.status for answer in answers] == [202, 202, 202, 429]
        assert answers[-1].headers["Retry-After"].isdecimal()
        assert (await answers[-1].json())["code"] == "queue-full"


async def test_executions_and_files_belong_to_their_key(fake: FakeComfyUI, tmp_path: Path) -> None:
    key_file = tmp_path / "keys"
    key_file.write_text("# two of us\nann secret-a\nbob secret-b\n")
    settings = read_settings({}, key_file, comfy=fake.url, state=tmp_path / "state", wait=5.0)
    assert "secret-" not in repr(settings)
    async with gateway(settings) as client:
        ann, bob = {"Authorization": "Bearer secret-a"}, {"X-API-Key": "secret-b"}
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Basic secret-a"}):
            answer = await client.post(BLANK, json={}, headers=headers)
            assert (answer.status, (await answer.json())["code"]) == (401, "unauthorised")
        execution = await (await client.post(BLANK, json={}, headers=ann)).json()
        file = await (await client.post("/files", data=b"x", headers=ann)).json()
        place, picture = f"/executions/{execution['id']}", execution["outputs"]["picture"][0]["url"]
        for path in (place, picture, file["url"], f"{place}/events"):
            assert (await client.get(path, headers=ann)).status == 200
            assert (await client.get(path, headers=bob)).status == 404
        assert (await client.post(f"{place}/cancel", headers=bob)).status == 404
        assert (await (await client.get("/executions", headers=bob)).json())["executions"] == []
        assert (await client.get("/livez")).status == 200
        assert "blank" not in await (await client.get("/")).text()
    assert b"secret-" not in b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file())


async def test_other_peoples_pages_may_not_run_anything(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        foreign = {"Origin": "https://evil.example"}
        answer = await client.post(BLANK, json={}, headers=foreign)
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden-origin")
        rebound = await client.get("/workflows", headers={"Host": "evil.example"})
        assert (rebound.status, (await rebound.json())["code"]) == (403, "forbidden-host")
        own = {"Origin": f"http://{client.host}:{client.port}"}
        assert (await client.post(BLANK, json={}, headers=own)).status == 200


def _large_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (3000, 3000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        ({"url": "https://example.com/a.png"}, "url-media-off"),
        ({"file": "nothing"}, "unknown-file"),
        ({"data": "!!!"}, "bad-media"),
        ({"data": base64.b64encode(b"<html>").decode()}, "bad-media"),
        ({"data": base64.b64encode(example_picture()[:60]).decode()}, "bad-media"),
        ({"data": base64.b64encode(_large_picture()).decode()}, "picture-too-large"),
        ({"data": "eA==", "file": "x"}, "invalid-parameters"),
        ("eA==", "invalid-parameters"),
    ],
)
async def test_a_picture_must_be_one(fake: FakeComfyUI, tmp_path: Path, photo: object, code: str) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    contract = Contract(
        name="blank",
        inputs=(Input(name="photo", type="image", targets=(Target(node="1", input="image"),)),),
        outputs=(Output(name="picture", type="image", nodes=("1",)),),
    )
    settings = settings_for(fake, tmp_path, pixel_limit=1_000_000, fetch_media=False)
    async with gateway(settings, blank_capsule(graph=graph, contract=contract)) as client:
        answer = await client.post(BLANK, json={"photo": photo})
        problem = await answer.json()
        assert (problem["code"], problem.get("parameter")) == (code, "photo")
        assert (answer.status, fake.submitted) == (CODES[code][0], [])


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b'{"color": 1, "\\ud800": 2}', {"Content-Type": "application/json"}, "invalid-json"),
        (b"no gzip", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, "bad-request"),
        (_form(b"[" * 100_000), {"Content-Type": "multipart/form-data; boundary=a"}, "invalid-parameters"),
        (_form(*[b" " * 700] * 3), {"Content-Type": "multipart/form-data; boundary=a"}, "body-too-large"),
    ],
)
async def test_odd_bodies_are_problems(
    fake: FakeComfyUI, tmp_path: Path, body: bytes, headers: dict[str, str], code: str
) -> None:
    limit = 2000 if code == "body-too-large" else 1 << 20
    async with gateway(settings_for(fake, tmp_path, file_limit=limit)) as client:
        answer = await client.post(BLANK, data=body, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (CODES[code][0], code)


async def test_the_type_in_a_data_url_steers_no_header(fake: FakeComfyUI, tmp_path: Path) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    contract = Contract(
        name="blank",
        inputs=(Input(name="photo", type="image", targets=(Target(node="1", input="image"),)),),
        outputs=(Output(name="picture", type="image", nodes=("1",)),),
    )
    picture = base64.b64encode(example_picture()).decode()
    async with gateway(settings_for(fake, tmp_path), blank_capsule(graph=graph, contract=contract)) as client:
        sent = {"photo": {"data": f"data:image/png\r\nX-Odd: 1;base64,{picture}"}}
        made = await (await client.post(BLANK, json=sent)).json()
        answer = await client.get(f"/files/{made['parameters']['photo']['file']}")
        assert (answer.status, answer.content_type) == (200, "image/png")


async def test_a_run_over_its_deadline_is_stopped(fake: FakeComfyUI, tmp_path: Path) -> None:
    fake.hold.clear()
    async with gateway(settings_for(fake, tmp_path, deadline=0.3)) as client:
        answer = await client.post(BLANK, json={})
        assert (answer.status, (await answer.json())["code"]) == (504, "deadline-exceeded")
        fake.hold.set()
        assert (await client.post(BLANK, json={})).status == 200


async def test_parameters_stay_out_of_the_log(
    fake: FakeComfyUI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with gateway(settings_for(fake, tmp_path)) as client:
        await client.post(BLANK, json={"color": 7654321, "size": 1.5})
        await client.post(BLANK, json={"color": 7654321})
    assert "blank succeeded" in caplog.text
    assert "7654321" not in caplog.text


async def test_the_description_and_the_page_tell_what_is_served(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        document = await (await client.get("/openapi.json")).json()
        assert {BLANK, "/executions/{id}", "/readyz"} <= set(document["paths"])
        schema = await (await client.get(f"{BLANK}/schema")).json()
        assert set(schema["properties"]) == {"color", "size"}
        assert (await (await client.get("/workflows")).json())["workflows"][0]["name"] == "blank"
        told = await (await client.get(BLANK)).json()
        assert [(each["name"], each["type"], each["maximum"]) for each in told["inputs"]] == [
            ("color", "integer", 0xFFFFFF), ("size", "integer", 8192)
        ]  # fmt: skip
        assert "targets" not in json.dumps(told)
        assert "/openapi.json" in await (await client.get("/")).text()


async def test_executions_are_listed_newest_first_and_in_pages(fake: FakeComfyUI, tmp_path: Path) -> None:
    async with gateway(settings_for(fake, tmp_path)) as client:
        ids = [(await (await client.post(BLANK, json={"color": n})).json())["id"] for n in range(3)]
        await state_of(client, ids[-1], "succeeded")
        first = (await (await client.get("/executions?limit=2&state=succeeded")).json())["executions"]
        rest = (await (await client.get(f"/executions?before={first[-1]['id']}")).json())["executions"]
        assert [each["id"] for each in first + rest] == ids[::-1]


def test_a_gateway_on_the_network_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        read_settings({}, comfy="http://x", host="0.0.0.0", state=tmp_path)
    assert refused.value.code == "no-key"
    read_settings({}, comfy="http://x", host="0.0.0.0", state=tmp_path, insecure=True)
    read_settings({"COMFY_CAPSULE_API_KEYS": "k1, k2"}, comfy="http://x", host="0.0.0.0", state=tmp_path)


def test_settings_come_from_arguments_then_the_environment() -> None:
    environment = {
        "COMFY_CAPSULE_PORT": "9000",
        "COMFY_CAPSULE_HOST": "127.0.0.2",
        "COMFY_CAPSULE_ARGUMENTS": "--cpu -x",
    }
    settings = read_settings(environment, comfy="http://x", port=None, host="::1")
    assert (settings.port, settings.host, settings.arguments) == (9000, "::1", ("--cpu", "-x"))
    with pytest.raises(BadInput, match="port"):
        read_settings({"COMFY_CAPSULE_PORT": "many"}, comfy="http://x")


def test_a_key_may_be_given_by_its_hash() -> None:
    plain, hashed = read_key("ann key"), read_key(f"ann sha256:{read_key('key').sha256}")  # type: ignore[union-attr]
    assert plain == hashed


@pytest.mark.parametrize(
    ("comfy", "code"), [("http://127.0.0.1:9", "comfyui-unreachable"), ("/nonexistent", "no-comfyui")]
)
def test_no_comfyui_is_said_at_once(tmp_path: Path, comfy: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        serve_capsules([blank_capsule()], read_settings({}, comfy=comfy, state=tmp_path))
    assert (refused.value.code, refused.value.exit_status) == (code, 2)


async def test_a_taken_port_is_said_at_once(fake: FakeComfyUI, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_for(fake, tmp_path, port=taken.getsockname()[1])
        with pytest.raises(BadInput) as refused:
            await asyncio.to_thread(serve_capsules, [blank_capsule()], settings)
    assert refused.value.code == "port-taken"


@pytest.fixture
def log_kept() -> Iterator[None]:
    """What `log_to_stderr` changes is put back, or pytest would see nothing of this package's log."""
    logger = logging.getLogger("comfy_capsule.packager.gateway")
    before = logger.handlers[:], logger.level, logger.propagate
    with warnings.catch_warnings():
        yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.mark.usefixtures("log_kept")
def test_what_a_client_sent_is_in_no_warning() -> None:
    warnings.simplefilter("error")
    log_to_stderr()
    for hostile in (BadContentDispositionHeader, BadContentDispositionParam):
        warnings.warn(hostile("\x1b[31m"), stacklevel=1)
    with pytest.raises(RuntimeWarning):
        warnings.warn("ours", RuntimeWarning, stacklevel=1)


@pytest.mark.usefixtures("log_kept")
def test_capsules_of_one_name_are_not_served_together(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        serve_capsules([blank_capsule(), blank_capsule()], read_settings({}, comfy="http://x", state=tmp_path))
    assert refused.value.code == "same-name"


def test_every_code_in_the_source_is_in_the_table_and_in_the_docs() -> None:
    source = "".join(path.read_text() for path in GATEWAY.glob("*.py"))
    used = set(re.findall(r"Problem\(\s*\"([a-z-]+)\"", source))
    assert used <= set(CODES)
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", _section("Problems"), re.MULTILINE))
    assert documented == {code: str(status) for code, (status, _) in CODES.items()}


def test_every_setting_is_in_the_docs() -> None:
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \|", _section("Settings"), re.MULTILINE))
    assert documented == set(Settings.model_fields) - {"keys"}


def _section(title: str) -> str:
    return DOCS.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
