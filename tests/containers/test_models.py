"""Models that are not in the image: mounted from a folder that others fill, or fetched before ComfyUI starts."""

from __future__ import annotations

import http.server
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import requests

from bench.engine import Engine
from bench.images import HARDENED, KEY
from bench.web import serving_http
from comfy_capsule.packager.capsule import Capsule, ModelOrigin
from comfy_capsule.packager.image import Docker, ModelPolicy, build
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.model_files import needed_models, pull_models
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.verify_image import verify_image

TAG = "comfy-capsule-test:no-models"


@pytest.fixture(scope="module")
def served(engine: Engine, comfyui: Path) -> Iterator[str]:
    """A server of the bench's models that containers reach: its address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(comfyui / "models"))
    with serving_http(handler, "0.0.0.0") as server:
        yield f"http://{engine.host_address()}:{server.server_port}"


@contextmanager
def image(engine: Engine, base: str, capsule: Capsule, policy: ModelPolicy) -> Iterator[str]:
    build(capsule, TAG, engine=Docker(engine.environment), base=base, report=silent, policies={"": policy})
    try:
        yield TAG
    finally:
        engine.docker("image", "rm", TAG)


@contextmanager
def container(engine: Engine, *options: str) -> Iterator[tuple[str, str]]:
    words = (
        "run",
        "--detach",
        "-p",
        "127.0.0.1::8000",
        *HARDENED,
        "-e",
        f"COMFY_CAPSULE_API_KEYS={KEY}",
        *options,
        TAG,
    )
    name = engine.docker(*words).strip()
    try:
        yield name, "http://" + engine.docker("port", name, "8000").split()[0]
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def ready(address: str, *, until: str = "") -> str:
    """What ``/readyz`` says once it is 200, or, when `until` is given, once it says that."""
    end = time.monotonic() + 120
    said = ""
    while time.monotonic() < end:
        with suppress(requests.ConnectionError):
            answer = requests.get(f"{address}/readyz", timeout=5)
            said = answer.text
            if until in said if until else answer.status_code == 200:
                return said
        time.sleep(0.2)
    raise AssertionError(said)


def run(address: str, capsule: Capsule) -> str:
    headers = {"Authorization": f"Bearer {KEY}", "Prefer": "wait=120"}
    answer = requests.post(f"{address}/workflows/{capsule.name}", json={}, headers=headers, timeout=180)
    return str(answer.json().get("state", answer.text))


def test_mounted_models_may_come_later(
    engine: Engine, base: str, capsule: Capsule, comfyui: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "models"
    volume.mkdir()
    with image(engine, base, capsule, "mount"), container(engine, "-v", f"{volume}:/models:ro") as (_, address):
        assert f"upscale_models/{capsule.lock.models[0].name} is not" in ready(address, until="in the volume")
        table = verify_image(Docker(engine.environment), TAG, capsule, example=False, report=silent)
        assert table.equal
        assert any("is in a volume that is not here" in sentence for sentence in table.unproved)
        pull_models(needed_models([capsule]), ModelStore(volume), silent, [comfyui / "models"])
        ready(address)
        assert run(address, capsule) == "succeeded"


def test_models_are_fetched_before_comfyui_starts(engine: Engine, base: str, capsule: Capsule, served: str) -> None:
    models = tuple(
        item.model_copy(update={"sources": (ModelOrigin(url=f"{served}/{item.folder}/{item.name}"),)})
        for item in capsule.lock.models
    )
    known = replace(capsule, lock=capsule.lock.model_copy(update={"models": models}), sealed="")
    with image(engine, base, known, "fetch"), container(engine) as (_, address):
        ready(address)
        assert run(address, known) == "succeeded"
