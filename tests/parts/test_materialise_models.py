"""Models out of the store, a folder or an address: only their exact bytes, only where they belong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from bench.web import serving_http
from comfy_capsule.packager.capsule import Capsule, ComfyUI, InputFile, Lock, Model, Platform
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.materialise import ModelStore, place_inputs, place_models
from comfy_capsule.packager.progress import Progress, silent

BYTES = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(BYTES).hexdigest()


def model(*, sources: tuple[str, ...] = (), **said: object) -> Model:
    base = {"folder": "upscale_models", "name": "sub/x2.safetensors", "size": len(BYTES), "sha256": DIGEST}
    return Model.model_validate({**base, "sources": [{"url": url} for url in sources], **said})


class Hub(BaseHTTPRequestHandler):
    """Answers as a file server: whole, from a range on, or cut off in the middle."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append(f"{self.path} {start}")
        if self.path == "/gated":
            return self.send_error(401)
        data = {"/long": BYTES + b"x", "/other": BYTES[::-1]}.get(self.path, BYTES)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:] if self.path != "/cut" or start else data[: 1 << 20])
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked.clear()
    with serving_http(Hub) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def test_from_a_folder_by_content_whatever_its_name(tmp_path: Path, store: ModelStore) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "same-size").write_bytes(BYTES[::-1])
    (mine / "my name.bin").write_bytes(BYTES)
    events: list[Progress] = []
    place_models([model()], tmp_path, events.append, models_from=[mine], store=store)
    target = tmp_path / "models/upscale_models/sub/x2.safetensors"
    assert target.read_bytes() == BYTES
    assert not target.samefile(mine / "my name.bin")
    assert (mine / "my name.bin").stat().st_nlink == 1, "the user's own file is linked nowhere"
    assert any(event.unit == "bytes" and event.done == event.total == len(BYTES) for event in events)
    place_models([model()], tmp_path / "second", silent, store=store)
    assert (tmp_path / "second/models/upscale_models/sub/x2.safetensors").read_bytes() == BYTES


def test_from_its_address_and_on_after_an_interruption(tmp_path: Path, store: ModelStore, hub: str) -> None:
    cut = model(sources=(f"{hub}/cut",))
    with pytest.raises(CapsuleError, match="/cut"):
        place_models([cut], tmp_path, silent, store=store)
    assert not (tmp_path / "models/upscale_models/sub/x2.safetensors").exists()
    place_models([cut], tmp_path, silent, store=store)
    assert (tmp_path / "models/upscale_models/sub/x2.safetensors").read_bytes() == BYTES
    assert Hub.asked == ["/cut 0", f"/cut {1 << 20}"]


@pytest.mark.parametrize(("path", "says"), [("/long", "larger"), ("/other", "other bytes"), ("/gated", "account")])
def test_other_bytes_are_refused(tmp_path: Path, store: ModelStore, hub: str, path: str, says: str) -> None:
    with pytest.raises(CapsuleError, match=says) as caught:
        place_models([model(sources=(hub + path,))], tmp_path, silent, store=store)
    assert caught.value.code == "model-missing"
    assert [file for file in (tmp_path / "store").rglob("*") if file.is_file() and file.suffix != ".lock"] == []
    place_models([model(sources=(hub + path, f"{hub}/good"))], tmp_path, silent, store=store)


def test_every_missing_model_is_named(tmp_path: Path, store: ModelStore) -> None:
    other = model(name="other.safetensors", sha256="0" * 64)
    with pytest.raises(CapsuleError, match=r"sub/x2\.safetensors.*other\.safetensors") as caught:
        place_models([model(), other], tmp_path, silent, store=store)
    assert caught.value.code == "models-missing"
    assert "--models-from" in caught.value.cure


def test_a_damaged_store_file_is_found_before_it_is_used(tmp_path: Path, store: ModelStore, hub: str) -> None:
    whole = model(sources=(f"{hub}/good",))
    found = place_models([whole], tmp_path, silent, store=store)[DIGEST]
    found.chmod(0o644)
    found.write_bytes(b"x" + BYTES[1:])
    assert store.find(whole) is None
    assert place_models([whole], tmp_path, silent, store=store)[DIGEST].read_bytes() == BYTES


@pytest.mark.parametrize(
    "said", [{"name": "../../x"}, {"name": "/etc/x"}, {"folder": ".."}, {"name": "a\\..\\b"}, {"sha256": "../" * 20}]
)
def test_names_stay_inside(tmp_path: Path, store: ModelStore, said: dict[str, str]) -> None:
    with pytest.raises(BadInput) as caught:
        place_models([model(**said)], tmp_path, silent, store=store)
    assert caught.value.code == "capsule-unsafe-name"


def test_inputs_are_those_of_the_lock_and_follow_no_link(tmp_path: Path) -> None:
    data = b"picture"
    said = InputFile(name="sub/a.png", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=ComfyUI(version="1", kind="git"), inputs=(said,))
    capsule = Capsule(lock, "", {}, {}, Contract(name="w"), {}, {"inputs/sub/a.png": data})
    place_inputs(capsule, tmp_path, silent)
    assert (tmp_path / "input/sub/a.png").read_bytes() == data
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap/input").symlink_to(outside)
    with pytest.raises(BadInput, match="through the link"):
        place_inputs(capsule, tmp_path / "trap", silent)
    other = Capsule(lock, "", {}, {}, Contract(name="w"), {}, {"inputs/sub/a.png": b"else"})
    with pytest.raises(BadInput, match="not the one"):
        place_inputs(other, tmp_path, silent)
