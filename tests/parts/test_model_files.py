"""Models are pulled whole, in pieces, by several at once, with a token for its own host only; and told of by file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from bench.gateway import blank_capsule
from bench.web import serving_http
from comfy_capsule.packager.capsule import Model, write_capsule
from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.materialise.model_sources import UrlModels
from comfy_capsule.packager.materialise.tokens import tokens_of
from comfy_capsule.packager.progress import Progress, silent

BYTES = os.urandom(1 << 20) * 21 + b"end"  # three pieces, the last one short
DIGEST = hashlib.sha256(BYTES).hexdigest()
COMMAND = (sys.executable, "-m", "comfy_capsule.packager.cli", "models")


class Hub(BaseHTTPRequestHandler):
    """A file server with ranges, and with what goes wrong on the way."""

    asked: ClassVar[list[tuple[str, str, str]]] = []  # path, range, authorization
    at_once: ClassVar[int] = 0
    most: ClassVar[int] = 0
    elsewhere: ClassVar[str] = ""
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        wanted, token = self.headers.get("Range", ""), self.headers.get("Authorization", "")
        with self.lock:
            self.asked.append((self.path, wanted, token))
            times = sum(path == self.path and asked == wanted for path, asked, _ in self.asked)
            Hub.at_once += 1
            Hub.most = max(Hub.most, Hub.at_once)
        try:
            self.answer(wanted, token, times)
        finally:
            with self.lock:
                Hub.at_once -= 1

    def answer(self, wanted: str, token: str, times: int) -> None:
        if self.path == "/gated" and token != "Bearer mine":
            return self.say(403)
        if self.path == "/moved":
            return self.say(302, Location=f"{self.elsewhere}/plain")
        if self.path == "/busy" and times == 1:
            return self.say(503)
        if self.path == "/slow":
            time.sleep(0.2)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if not found or self.path == "/whole":
            return self.give(200, BYTES)
        start, end = int(found[1]), int(found[2] or len(BYTES) - 1)
        data = BYTES[start : end + 1]
        if self.path == "/cut" and start and times == 1:
            return self.give(206, data, data[:1000])
        return self.give(206, data)

    def say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def give(self, status: int, promised: bytes, sent: bytes | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(promised)))
        self.end_headers()
        self.wfile.write(promised if sent is None else sent)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked.clear()
    Hub.at_once = Hub.most = 0
    with serving_http(Hub) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def model(*urls: str, **said: object) -> Model:
    base = {"folder": "vae", "name": "a/big.safetensors", "size": len(BYTES), "sha256": DIGEST}
    return Model.model_validate({**base, "sources": [{"url": url} for url in urls], **said})


def pulled(store: ModelStore, *urls: str, tokens: dict[str, str] | None = None) -> bytes:
    return store.obtain(model(*urls), [UrlModels(tokens or {})], silent).read_bytes()


@pytest.mark.parametrize("path", ["/plain", "/whole", "/cut", "/busy"])
@pytest.mark.usefixtures("quick")
def test_every_kind_of_server_gives_the_same_bytes(store: ModelStore, hub: str, path: str) -> None:
    assert pulled(store, hub + path) == BYTES
    assert not list(store.root.rglob("*.part"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause before a second try."""
    monkeypatch.setattr("comfy_capsule.packager.materialise.download._PAUSE", 0.0)


def test_pieces_come_at_once_and_in_their_order(store: ModelStore, hub: str) -> None:
    assert pulled(store, f"{hub}/slow") == BYTES
    assert Hub.most >= 2
    ranges = sorted(int(wanted.removeprefix("bytes=").partition("-")[0]) for _, wanted, _ in Hub.asked)
    assert ranges == [0, 8 << 20, 16 << 20]


def test_what_was_written_before_a_cancellation_is_not_fetched_again(store: ModelStore, hub: str) -> None:
    def cancel(event: Progress) -> None:
        if event.done >= 16 << 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        store.obtain(model(f"{hub}/plain"), [UrlModels({})], cancel)
    Hub.asked.clear()
    assert pulled(store, f"{hub}/plain") == BYTES
    assert [wanted for _, wanted, _ in Hub.asked] == [f"bytes={16 << 20}-"]


def test_a_token_goes_to_its_own_host_and_not_where_that_leads(store: ModelStore, hub: str) -> None:
    Hub.elsewhere = hub.replace("127.0.0.1", "localhost")
    assert pulled(store, f"{hub}/moved", tokens={"127.0.0.1": "mine"}) == BYTES
    assert {token for path, _, token in Hub.asked if path == "/moved"} == {"Bearer mine"}
    assert {token for path, _, token in Hub.asked if path == "/plain"} == {""}


def test_a_gated_file_says_what_to_do(store: ModelStore, hub: str) -> None:
    with pytest.raises(CapsuleError, match="403, it needs an account") as refused:
        pulled(store, f"{hub}/gated")
    assert refused.value.code == "model-missing"
    with pytest.raises(CapsuleError, match="the token that was given is not let in"):
        pulled(store, f"{hub}/gated", tokens={"127.0.0.1": "another"})
    assert pulled(store, f"{hub}/gated", tokens={"127.0.0.1": "mine"}) == BYTES
    assert len([path for path, _, _ in Hub.asked if path == "/gated"]) == 5, "what is refused is not asked again"


def test_whose_token_it_is(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("saved\n")
    saved = {"HF_HOME": str(tmp_path)}
    assert tokens_of(saved) == {"huggingface.co": "saved"}
    assert tokens_of({**saved, "HF_TOKEN": "said", "CIVITAI_TOKEN": "c"}) == {
        "huggingface.co": "said", "civitai.com": "c",
    }  # fmt: skip
    assert tokens_of({"HF_TOKEN_PATH": str(tmp_path / "none"), "HOME": str(tmp_path)}) == {}


@pytest.fixture
def capsule(tmp_path: Path, hub: str) -> Path:
    made = blank_capsule()
    other = model(sha256="ab" * 32, name="never.safetensors", size=5)
    lock = made.lock.model_copy(update={"models": (model(f"{hub}/slow"), other)})
    write_capsule(replace(made, lock=lock), tmp_path / "both.capsule.zip")
    write_capsule(replace(made, lock=lock.model_copy(update={"models": lock.models[:1]})), tmp_path / "one.capsule.zip")
    return tmp_path / "one.capsule.zip"


def command(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [*COMMAND, *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_list_pull_and_verify_by_the_command(capsule: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    listed = command("list", capsule, "--to", shared)
    assert "missing" in listed.stdout
    assert f"0 of 1 here, {len(BYTES):,} bytes to fetch" in listed.stdout
    assert command("verify", capsule, "--to", shared).returncode == 1
    done = command("pull", capsule, "--to", shared, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)[0]
    assert (said["state"], Path(said["path"]).read_bytes() == BYTES) == ("here", True)
    assert command("verify", capsule, "--to", shared).returncode == 0
    file = Path(said["path"])
    file.chmod(0o644)
    file.write_bytes(b"x" + BYTES[1:])
    wrong = command("verify", capsule, "--to", shared, "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)[0]["state"]) == (1, "damaged")
    assert command("pull", capsule, "--to", shared).returncode == 0
    assert command("verify", capsule, "--to", shared).returncode == 0


def test_what_cannot_be_had_is_named_and_the_rest_is_there(capsule: Path, tmp_path: Path) -> None:
    done = command("pull", capsule.with_name("both.capsule.zip"), "--to", tmp_path / "shared", "--json")
    assert done.returncode == 1
    problem = json.loads(done.stdout)["error"]
    assert problem["code"] == "model-missing"
    assert "never.safetensors" in problem["message"]
    assert command("verify", capsule, "--to", tmp_path / "shared").returncode == 0


def test_several_fill_one_folder_and_each_byte_comes_once(capsule: Path, tmp_path: Path) -> None:
    argv = [*COMMAND, "pull", str(capsule), "--to", str(tmp_path / "shared")]
    pulling = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for process in pulling:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert len(Hub.asked) == 3
    assert command("verify", capsule, "--to", tmp_path / "shared").returncode == 0


def test_a_killed_pull_is_gone_on_with(capsule: Path, tmp_path: Path) -> None:
    argv = [*COMMAND, "pull", str(capsule), "--to", str(tmp_path / "shared")]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = tmp_path / f"shared/sha256/{DIGEST[:2]}/.{DIGEST}.part"
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    kept = part.stat().st_size
    Hub.asked.clear()
    assert command("pull", capsule, "--to", tmp_path / "shared").returncode == 0
    starts = [int(wanted.removeprefix("bytes=").partition("-")[0] or 0) for _, wanted, _ in Hub.asked]
    assert min(starts) == kept


def test_a_folder_without_room_is_said_before_a_byte_is_fetched(tmp_path: Path, hub: str) -> None:
    made = blank_capsule()
    lock = made.lock.model_copy(update={"models": (model(f"{hub}/plain", size=1 << 60),)})
    write_capsule(replace(made, lock=lock), tmp_path / "huge.capsule.zip")
    done = command("pull", tmp_path / "huge.capsule.zip", "--to", tmp_path / "shared", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "disk-full")
    assert Hub.asked == []
