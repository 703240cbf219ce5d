"""Where a model can be had again: from what is written in workflows, templates and side files, each proved or not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.web import serving_http
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import Model, ModelOrigin
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.models.addresses import clean_address
from comfy_capsule.packager.snapshot.models.look_up import LookUp
from comfy_capsule.packager.snapshot.models.models import Models, read_models
from model_cases import install_of

BYTES = b"weights"
SHA = hashlib.sha256(BYTES).hexdigest()
OTHER = hashlib.sha256(b"others").hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "https://huggingface.co"


@pytest.fixture
def install(tmp_path: Path) -> Install:
    install = install_of(tmp_path / "ComfyUI", ["loras/sub/style.safetensors"])
    (install.root / "models/loras/sub/style.safetensors").write_bytes(BYTES)
    return install


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "answers.sqlite3")


def lora(install: Install) -> Path:
    return install.root / "models/loras/sub/style.safetensors"


def read(install: Install, cache: Cache, *declared: Mapping[str, Any], look_up: LookUp | None = None) -> Models:
    """What is recorded of a graph with one LoRA, whose workflow declares `declared` in a subgraph's node."""
    name = "sub/style.safetensors"
    info = {"Lora": {"input": {"required": {"lora_name": [[name], {}]}}}}
    node = {"properties": {"models": [{"name": name, "directory": "loras", **each} for each in declared]}}
    ui = {"nodes": [], "definitions": {"subgraphs": [{"nodes": [node]}]}}
    graph = {"1:2": {"class_type": "Lora", "inputs": {"lora_name": name}}}
    return read_models(install, graph, ui, info, silent, cache=cache, look_up=look_up or False)


def sources(read: Models) -> list[tuple[str, bool, str]]:
    (model,) = read.models
    assert (model.folder, model.name, model.size, model.sha256) == ("loras", "sub/style.safetensors", len(BYTES), SHA)
    return [(source.url, source.proved, source.how) for source in model.sources]


def codes(read: Models) -> list[str]:
    return sorted(finding.code for finding in read.findings)


def test_an_address_in_the_workflow_is_proved_by_its_hash_alone(install: Install, cache: Cache) -> None:
    assert codes(read(install, cache)) == ["model-without-source"]
    url = f"{HUB}/o/r/resolve/main/style.safetensors"
    said = read(install, cache, {"url": url})
    assert (sources(said), codes(said)) == ([(url, False, "workflow")], ["model-source-unproved"])
    said = read(install, cache, {"url": url, "hash": SHA.upper(), "hash_type": "SHA256"})
    assert (sources(said), codes(said)) == ([(url, True, "workflow")], [])
    said = read(install, cache, {"url": url, "hash": OTHER, "hash_type": "SHA256"})
    assert (sources(said), codes(said)) == ([], ["model-source-differs", "model-without-source"])


def test_the_page_of_a_file_becomes_the_file(install: Install, cache: Cache) -> None:
    said = read(install, cache, {"url": f"{HUB}/o/r/blob/main/a%20b.safetensors"})
    assert sources(said)[0][0].startswith(f"{HUB}/o/r/resolve/main/")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://u:pw@host/m?token=secret&type=Model", "https://host/m?type=Model"),
        ("https://host/m?X-Amz-Signature=s&X-Amz-Credential=c&Expires=1", "https://host/m"),
        ("https://host/m?api_key=secret#token=secret", "https://host/m"),
        ("https://host/m?sv=1&sig=secret", "https://host/m?sv=1"),
        ("file:///etc/passwd", ""),
        ("javascript:alert(1)", ""),
        ("https://host/a b", ""),
        ("https://host/\x1b[31m", ""),
        ("https://[broken", ""),
        (None, ""),
        ({"url": "x"}, ""),
        ("https://host/" + "a" * 5000, ""),
    ],
)
def test_no_secret_and_nothing_odd_is_in_an_address(given: object, kept: str) -> None:
    assert clean_address(given) == kept


CIVITAI_FILE = {"name": "style.safetensors", "downloadUrl": "https://civitai.com/api/download/models/7?token=secret"}


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        (".civitai.info", {"id": 7, "modelId": 3, "files": [{**CIVITAI_FILE, "hashes": {"SHA256": SHA.upper()}}]}),
        (
            ".metadata.json",
            {
                "file_name": "style",
                "sha256": SHA,
                "civitai": {
                    "id": 7,
                    "modelId": 3,
                    "downloadUrl": "https://civitai.com/api/download/models/7",
                    "files": [
                        {**CIVITAI_FILE, "hashes": {"SHA256": SHA}},
                        {
                            "downloadUrl": "https://civitai.com/api/download/models/7?type=VAE",
                            "hashes": {"SHA256": OTHER},
                        },
                    ],
                },
            },
        ),
        (".cm-info.json", {"ModelId": 3, "VersionId": 7, "Hashes": {"SHA256": SHA}, "Source": "Civitai"}),
        (".json", {"downloadUrl": "https://civitai.com/api/download/models/7", "sha256": SHA}),
    ],
)
def test_side_files_of_the_managers(install: Install, cache: Cache, ending: str, content: dict[str, Any]) -> None:
    side = lora(install).with_name("style" + ending)
    side.write_text(json.dumps(content))
    said = read(install, cache)
    assert sources(said) == [("https://civitai.com/api/download/models/7", True, "side-file")]
    assert "secret" not in str(said.models)


@pytest.mark.parametrize(
    "content", ["", "not json", "[" * 100_000, "[1, null]", '{"files": 3, "hashes": []}', '{"downloadUrl": 4}']
)
def test_odd_side_files_say_nothing(install: Install, cache: Cache, content: str) -> None:
    lora(install).with_name("style.civitai.info").write_text(content)
    os.mkfifo(lora(install).with_name("style.json"))  # opened, it would wait for a writer for ever
    assert codes(read(install, cache)) == ["model-without-source"]


def test_a_side_file_of_other_bytes_is_said(install: Install, cache: Cache) -> None:
    content = {"files": [{**CIVITAI_FILE, "hashes": {"SHA256": OTHER}}]}
    lora(install).with_name("style.civitai.info").write_text(json.dumps(content))
    assert codes(read(install, cache)) == ["model-source-differs", "model-without-source"]


@pytest.mark.parametrize("into", ["snapshot", "blob", "folder"])
def test_links_into_the_hubs_cache(install: Install, cache: Cache, tmp_path: Path, into: str) -> None:
    repository = tmp_path / "hub/models--owner--some-name"
    blob, snapshot = repository / "blobs" / SHA, repository / "snapshots" / COMMIT / "dir/style v1.safetensors"
    for place in (blob, snapshot):
        place.parent.mkdir(parents=True)
    blob.write_bytes(BYTES)
    snapshot.symlink_to(Path("../../../blobs") / SHA)
    lora(install).unlink()
    name = "style%20v1.safetensors"
    if into == "folder":
        name = "style.safetensors"
        snapshot.rename(snapshot.with_name(name))
        lora(install).parent.rmdir()
        lora(install).parent.symlink_to(snapshot.parent)
    else:
        lora(install).symlink_to(snapshot if into == "snapshot" else blob)
    expected = f"{HUB}/owner/some-name/resolve/{COMMIT}/dir/{name}"
    assert sources(read(install, cache)) == [(expected, True, "huggingface-cache")]


def test_what_the_hubs_client_noted_pins_the_commit_and_proves_nothing(install: Install, cache: Cache) -> None:
    note = lora(install).parents[1] / ".cache/huggingface/download/sub/style.safetensors.metadata"
    note.parent.mkdir(parents=True)
    note.write_text(f"{COMMIT}\n{SHA}\n1700000000.0\n")
    said = read(install, cache, {"url": f"{HUB}/o/r/resolve/main/style.safetensors"})
    assert sources(said) == [
        (f"{HUB}/o/r/resolve/{COMMIT}/style.safetensors", False, "huggingface-cache"),
        (f"{HUB}/o/r/resolve/main/style.safetensors", False, "workflow"),
    ]


def test_the_templates_that_are_installed(install: Install, cache: Cache, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    templates = site / "comfyui_workflow_templates_json/templates"
    info = site / "comfyui_workflow_templates_json-0.1.0.dist-info"
    for folder in (templates, info):
        folder.mkdir(parents=True)
    (info / "RECORD").write_text("comfyui_workflow_templates_json/templates/a.json,sha256=x,1\n")
    model = {
        "name": "style.safetensors",
        "directory": "loras",
        "url": "https://host/t",
        "hash": SHA,
        "hash_type": "SHA256",
    }
    (templates / "a.json").write_text(json.dumps({"nodes": [{"properties": {"models": [model]}}]}))
    (templates / "index.json").write_text("[]")
    here = install.model_copy(update={"site_packages": (site,)})
    assert sources(read(here, cache)) == [("https://host/t", True, "templates")]
    (templates / "a.json").unlink()
    assert sources(read(here, cache)) == [("https://host/t", True, "templates")]  # kept for what RECORD says
    (info / "RECORD").write_text("changed\n")
    assert codes(read(here, cache)) == ["model-without-source"]


class Services(BaseHTTPRequestHandler):
    """Answers as Hugging Face and Civitai are documented to."""

    asked: ClassVar[list[str]] = []
    authorized: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(f"HEAD {self.path}")
        self.authorized.extend(filter(None, [self.headers.get("Authorization")]))
        if self.path.startswith("/old/"):
            return self._say(307, {"Location": self.path.replace("/old/", "/owner/")})
        if self.path.startswith("/gated/"):
            return self._say(401)
        etag = OTHER if "other" in self.path else SHA
        headers = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": "7", "X-Repo-Commit": COMMIT}
        return self._say(302, {**headers, "Location": "https://cdn.invalid/signed?token=secret"})

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        if self.path != f"/api/v1/model-versions/by-hash/{SHA}" or "civitai-none" in self.asked:
            return self._say(404, body=b'{"error": "Model not found"}')
        files = [
            {"hashes": {"SHA256": OTHER.upper()}, "downloadUrl": "https://civitai.com/api/download/models/8"},
            {
                "hashes": {"SHA256": SHA.upper()},
                "downloadUrl": "https://civitai.com/api/download/models/9?token=secret",
            },
        ]
        return self._say(200, body=json.dumps({"id": 9, "modelId": 1, "files": files}).encode())

    def _say(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def services() -> Iterator[str]:
    Services.asked.clear()
    Services.authorized.clear()
    with serving_http(Services) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def asking(services: str, cache: Cache, **bounds: Any) -> LookUp:
    return LookUp(cache, huggingface=services, civitai=services, **bounds)


def test_a_look_up_proves_pins_and_is_kept(
    install: Install, cache: Cache, services: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    url = f"{services}/old/repo/resolve/main/style.safetensors"
    said = read(install, cache, {"url": url}, look_up=asking(services, cache))
    assert sources(said) == [
        (f"{services}/old/repo/resolve/{COMMIT}/style.safetensors", True, "huggingface"),
        ("https://civitai.com/api/download/models/9", True, "civitai"),
        (url, False, "workflow"),
    ]
    assert codes(said) == []
    assert Services.authorized == []
    asked = list(Services.asked)
    assert sources(read(install, cache, {"url": url}, look_up=asking(services, cache))) == sources(said)
    assert Services.asked == asked


def test_a_hub_that_has_other_bytes_is_no_source(install: Install, cache: Cache, services: str) -> None:
    Services.asked.append("civitai-none")
    url = f"{services}/owner/repo/resolve/main/other.safetensors"
    said = read(install, cache, {"url": url}, look_up=asking(services, cache))
    assert (sources(said), codes(said)) == ([], ["model-source-differs", "model-without-source"])
    asked = len(Services.asked)
    read(install, cache, {"url": url}, look_up=asking(services, cache))
    assert len(Services.asked) == asked  # that Civitai does not know it is kept too, for the day


def test_look_ups_are_few_and_say_when_they_fail(install: Install, cache: Cache, services: str, tmp_path: Path) -> None:
    gated = {"url": f"{services}/gated/repo/resolve/main/style.safetensors"}
    said = read(install, cache, gated, look_up=asking(services, cache))
    assert "look-up-failed" in codes(said)
    Services.asked.clear()
    said = read(
        install, Cache(tmp_path / "other"), gated, look_up=asking(services, Cache(tmp_path / "other"), requests=0)
    )
    assert Services.asked == []
    assert codes(said)[0] == "look-up-failed"
    nobody = LookUp(Cache(tmp_path / "third"), huggingface="http://127.0.0.1:9", civitai="http://127.0.0.1:9")
    assert "look-up-failed" in codes(read(install, cache, look_up=nobody))


def test_without_the_flag_nobody_is_asked(
    install: Install, cache: Cache, services: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfy_capsule.packager.snapshot.models.models.LookUp", lambda *_: pytest.fail("asked"))
    read(install, cache, {"url": f"{services}/o/r/resolve/main/style.safetensors"})
    assert Services.asked == []


def test_sources_stand_in_the_lock_and_are_no_part_of_the_identity() -> None:
    model = Model(folder="vae", name="a", size=1, sha256=SHA, sources=(ModelOrigin(url="https://h/a", how="workflow"),))
    assert Model.model_validate(model.model_dump(mode="json")) == model
