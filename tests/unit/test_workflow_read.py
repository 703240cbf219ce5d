"""Workflow files: what ComfyUI saves is read, what it did not save is refused with the way out."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest

from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.workflow import read_workflow_file
from graphs import DATA, twice

UI, API = twice()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*texts: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    picture = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(texts) + picture + chunk(b"IEND", b"")


def webp(*tags: tuple[int, str], order: str = "<", prefix: bytes = b"") -> bytes:
    """A WebP container whose EXIF holds these ASCII tags, laid out as Pillow does."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    entries, values = b"", b""
    at = 8 + 2 + 12 * len(tags) + 4
    for tag, text in tags:
        data = text.encode() + b"\0"
        entries += struct.pack(f"{order}HHII", tag, 2, len(data), at + len(values))
        values += data
    exif = prefix + start + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + values
    body = b"WEBP" + struct.pack("<4sI", b"VP8X", 10) + bytes(10)
    body += struct.pack("<4sI", b"EXIF", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def code_of(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_workflow_file(path)
    assert caught.value.message.endswith(".")
    return caught.value.code


def test_the_editors_json_has_no_api_graph_and_says_how_to_get_one() -> None:
    file = read_workflow_file(DATA / "twice.json")
    assert file.ui == UI
    with pytest.raises(BadInput) as caught:
        file.need_api()
    assert caught.value.code == "api-graph-missing"
    assert "File → Export (API)" in caught.value.cure


def test_api_json_is_told_apart(tmp_path: Path) -> None:
    assert read_workflow_file(DATA / "twice.api.json") == (None, API)
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"prompt": API, "client_id": "x"}))
    assert read_workflow_file(body).need_api() == API


def test_a_byte_order_mark_and_nan_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text('\ufeff{"1": {"class_type": "A", "inputs": {}, "is_changed": NaN}}')
    assert read_workflow_file(path).need_api()["1"]["is_changed"] is None


@pytest.mark.parametrize("form", ["tEXt", "iTXt", "iTXt compressed", "zTXt", "comf"])
def test_a_picture_holds_both_graphs(tmp_path: Path, form: str) -> None:
    def text(name: str, value: object) -> bytes:
        key, data = name.encode() + b"\0", json.dumps(value).encode()
        if form == "zTXt":
            return chunk(b"zTXt", key + b"\0" + zlib.compress(data))
        if form.startswith("iTXt"):
            flag = form.endswith("compressed")
            return chunk(b"iTXt", key + bytes([flag, 0]) + b"en\0\0" + (zlib.compress(data) if flag else data))
        return chunk(form.encode(), key + data)

    path = tmp_path / "picture.png"
    path.write_bytes(png(text("prompt", API), text("workflow", UI)))
    assert read_workflow_file(path) == (UI, API)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_a_webp_holds_both_graphs(tmp_path: Path, order: str, prefix: bytes) -> None:
    path = tmp_path / "picture.webp"
    tags = (0x010F, f"workflow:{json.dumps(UI)}"), (0x0110, f"prompt:{json.dumps(API)}")
    path.write_bytes(webp(*tags, order=order, prefix=prefix))
    assert read_workflow_file(path) == (UI, API)


def test_files_that_are_no_workflow(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert code_of(path) == "no-such-file"
    for content in (b"", b"hello", b"\xff\xfe\x00", b"[1]", b'"x"', b'{"a": 1}', b'{"prompt": "a cat"}', b"GIF89a"):
        path.write_bytes(content)
        assert code_of(path) == "not-a-workflow", content
    path.write_bytes((DATA / "twice.json").read_bytes()[:500])
    assert code_of(path) == "workflow-cut-off"
    path.write_text("[" * 100_000)
    assert code_of(path) == "not-a-workflow"


def test_pictures_that_hold_none_or_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(chunk(b"tEXt", b"Software\0paint")))
    assert code_of(path) == "picture-without-workflow"
    path.write_bytes(png(chunk(b"tEXt", b'workflow\0{"a": 1}')))
    assert code_of(path) == "not-a-workflow"
    whole = png(chunk(b"tEXt", b"prompt\0" + json.dumps(API).encode()))
    for end in (20, 50, 200, len(whole) - 10):
        path.write_bytes(whole[:end])
        assert code_of(path) == "picture-unreadable", end
    whole = webp((0x010F, f"workflow:{json.dumps(UI)}"))
    for end in (14, 40, 300):
        path.write_bytes(whole[:end])
        assert code_of(path) == "picture-unreadable", end


def test_a_bomb_in_a_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.workflow.picture.LIMIT", 1000)
    path = tmp_path / "x.png"
    path.write_bytes(png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b" " * 10_000_000))))
    assert code_of(path) == "picture-unreadable"
