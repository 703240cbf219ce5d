"""Sounds and films that come to the gateway: their heads are read before a node sees them."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from bench.fake_comfyui import FakeComfyUI
from bench.gateway import blank_capsule
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.contract import Contract, Input, Output, Target
from comfy_capsule.packager.gateway import read_settings
from comfy_capsule.packager.gateway.probe import wrong_stream

PIXELS = 10_000


def sound() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return written.getvalue()


def film(name: str = "a.mp4", codec: str = "mpeg4", side: int = 64) -> bytes:
    """A film without a sound."""
    written = io.BytesIO()
    with av.open(written, "w", format=name.rpartition(".")[2].replace("mkv", "matroska")) as out:
        stream = out.add_stream(codec, rate=5)
        stream.width = stream.height = side
        picture = np.zeros((side, side, 3), np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return written.getvalue()


@pytest.mark.parametrize(
    ("kind", "data", "wrong"),
    [
        ("audio", sound(), ""),
        ("video", film(), ""),
        ("video", film("a.mkv"), ""),
        ("audio", film(), "is no audio: it has no audio in it"),
        ("video", sound(), "is no video: it has no video in it"),
        ("video", film(side=128), "is a video of 128 x 128, more than 10000 pixels"),
        ("audio", sound()[:20], "is no audio that can be read"),
        ("audio", b"RIFF" + bytes(100), "is no audio that can be read"),
        ("video", film()[:40], "is no video that can be read"),
        ("video", film("a.mkv")[:60], "is no video that can be read"),
        ("video", b"", "is no video that can be read"),
    ],
)
def test_the_head_says_what_it_is(tmp_path: Path, kind: str, data: bytes, wrong: str) -> None:
    (tmp_path / "sent").write_bytes(data)
    assert wrong_stream(tmp_path / "sent", kind, PIXELS) == wrong


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        ("audio", sound(), ""),
        ("audio", film(), "bad-media"),
        ("audio", b"RIFF" + bytes(100), "bad-media"),
        ("video", film(side=128), "picture-too-large"),
        ("video", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "bad-media"),
        ("video", b"ffconcat version 1.0\nfile /etc/passwd\n", "bad-media"),
    ],
)
async def test_what_is_none_never_reaches_comfyui(
    fake: FakeComfyUI, tmp_path: Path, kind: str, data: bytes, code: str
) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "x"}}}
    clip = Input(name="clip", type=kind, required=True, targets=(Target(node="1", input="image"),))
    contract = Contract(name="blank", inputs=(clip,), outputs=(Output(name="out", type="image", nodes=("1",)),))
    settings = read_settings({}, comfy=fake.url, state=tmp_path, wait=5.0, pixel_limit=PIXELS, warm_up=False)
    async with gateway(settings, blank_capsule(graph=graph, contract=contract)) as client:
        sent = {"clip": {"data": base64.b64encode(data).decode()}}
        problem = await (await client.post(BLANK, json=sent, headers={"Prefer": "respond-async"})).json()
        assert (problem.get("code", ""), problem.get("parameter", "clip")) == (code, "clip")
