"""Secrets reach ComfyUI and nobody else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from aiohttp import FormData
from PIL import Image, PngImagePlugin

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import read_settings
from comfy_capsule.packager.gateway.secrets import Secrets

VALUE = "planted-value-4711"
ASKING = "${secret:API_KEY}"


def asking() -> Capsule:
    """A workflow whose file prefix holds a secret."""
    graph = json.loads(json.dumps(blank_capsule().graph))
    graph["2"]["inputs"]["filename_prefix"] = "key=${secret:API_KEY}"
    return blank_capsule(graph=graph)


async def test_the_graph_that_comfyui_gets_holds_the_value_and_nothing_else_does(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_API_KEY", VALUE)
    settings = read_settings({}, comfy=fake.url, state=tmp_path / "state", wait=5.0)
    async with gateway(settings, asking()) as client:
        answer = await client.post(BLANK, json={})
        said = await answer.text()
        assert answer.status == 200, said
        assert fake.submitted[0]["2"]["inputs"]["filename_prefix"] == f"key={VALUE}"
        events = await (await client.get(f"/executions/{json.loads(said)['id']}/events")).text()
        described = await (await client.get("/openapi.json")).text()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert VALUE not in said + events + described + caplog.text
    assert VALUE.encode() not in kept


async def test_a_secret_in_the_text_of_a_json_value_leaves_it_json(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, asking = 'with "quotes" and \\n', {"key": ASKING, "size": 1}
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_API_KEY", value)
    graph = json.loads(json.dumps(blank_capsule().graph))
    graph["2"]["inputs"]["filename_prefix"] = json.dumps(asking, indent=1)
    target = Target(node="2", input="filename_prefix")
    given = Input(name="options", type="json", as_text=True, default=asking, targets=(target,))
    contract = Contract(name="blank", inputs=(given,), outputs=blank_capsule().contract.outputs)
    settings = read_settings({}, comfy=fake.url, state=tmp_path / "state", wait=5.0)
    async with gateway(settings, blank_capsule(graph=graph, contract=contract)) as client:
        for body, reached in (({}, {"key": value, "size": 1}), ({"options": {"key": ASKING}}, {"key": ASKING})):
            answer = await client.post(BLANK, json=body)
            assert answer.status == 200, await answer.text()
            assert json.loads(fake.submitted[-1]["2"]["inputs"]["filename_prefix"]) == reached
        for text, status in (('{"a": [null]}', 200), ('"so"', 200), ("{", 400), ("so", 400)):
            form = FormData(default_to_multipart=True)
            form.add_field("options", text)
            answer = await client.post(BLANK, data=form)
            assert answer.status == status, await answer.text()
            if status == 200:
                assert json.loads(fake.submitted[-1]["2"]["inputs"]["filename_prefix"]) == json.loads(text)


def asking_texts() -> Capsule:
    """`prefix` is a plain text, `key` a parameter whose default asks for a secret; both are texts of one node."""
    graph = json.loads(json.dumps(blank_capsule().graph))
    graph["2"]["inputs"] |= {"filename_prefix": "plain", "api_key": ASKING}
    inputs = tuple(
        Input(name=name, type="string", default=default, targets=(Target(node="2", input=widget),))
        for name, default, widget in (("prefix", "plain", "filename_prefix"), ("key", ASKING, "api_key"))
    )
    outputs = (Output(name="picture", type="image", nodes=("2",)),)
    return blank_capsule(graph=graph, contract=Contract(name="blank", inputs=inputs, outputs=outputs))


async def test_a_default_that_asks_is_filled_in_and_a_callers_text_never(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_API_KEY", VALUE)
    settings = read_settings({}, comfy=fake.url, state=tmp_path / "state", wait=5.0)
    async with gateway(settings, asking_texts()) as client:
        said = ""
        for body in ({}, {"prefix": ASKING}, {"key": "mine"}, {"key": f"x{ASKING}"}):
            answer = await client.post(BLANK, json=body)
            said += await answer.text()
            assert answer.status == 200, said
    got = [(graph["2"]["inputs"]["filename_prefix"], graph["2"]["inputs"]["api_key"]) for graph in fake.submitted]
    assert got == [("plain", VALUE), (ASKING, VALUE), ("plain", "mine"), ("plain", f"x{ASKING}")]
    assert VALUE not in said


async def test_what_comfyui_says_of_a_failure_is_told_without_the_value(
    fake: FakeComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_API_KEY", "no such colour")  # what the stand-in's failure says
    settings = read_settings({}, comfy=fake.url, state=tmp_path / "state", wait=5.0)
    fake.failing = "1"
    async with gateway(settings, asking_texts()) as client:
        text = await (await client.post(BLANK, json={})).text()
    assert "no such colour" not in text
    assert ASKING in text


def test_a_secret_comes_from_a_file_and_a_missing_one_is_said_by_name(tmp_path: Path) -> None:
    settings = read_settings({}, comfy="http://127.0.0.1:1", state=tmp_path, secrets_dir=tmp_path / "secrets")
    with pytest.raises(BadInput, match="API_KEY") as caught:
        Secrets.of([asking()], settings, {})
    assert caught.value.code == "secret-missing"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/API_KEY").write_text(f"{VALUE}\n")
    filled = Secrets.of([asking()], settings, {}).fill("key=${secret:API_KEY}")
    assert filled == f"key={VALUE}"


def test_results_have_the_placeholder_again_and_the_same_pixels() -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("prompt", json.dumps({"2": {"inputs": {"filename_prefix": f"key={VALUE}"}}}))
    made = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(made, "PNG", pnginfo=said)
    cleaned = Secrets({"API_KEY": VALUE}).cleaned(made.getvalue())
    picture = Image.open(io.BytesIO(cleaned))
    picture.load()
    assert json.loads(picture.text["prompt"])["2"]["inputs"]["filename_prefix"] == "key=${secret:API_KEY}"
    assert picture.tobytes() == Image.open(io.BytesIO(made.getvalue())).tobytes()
    other = Secrets({"API_KEY": VALUE}).cleaned(b"RIFF" + VALUE.encode() + b"end")
    assert VALUE.encode() not in other
    assert len(other) == len(VALUE) + 7
