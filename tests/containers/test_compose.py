"""The context's compose files: Compose takes them, and what they start serves, keeps its state and tells no key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from bench.engine import Engine
from bench.images import TAG
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.comfy import free_port
from comfy_capsule.packager.command import run
from comfy_capsule.packager.image import BuiltImage, compose, make_plan

KEY = "a-key-of-the-compose-test"


@pytest.fixture
def folder(capsule: Capsule, tmp_path: Path) -> Path:
    for name, text in compose(make_plan(capsule)).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "api_keys.txt").write_text(f"{KEY}\n")
    return tmp_path


def docker_compose(engine: Engine, folder: Path, *words: str, **environment: str) -> str:
    return run(["docker", "compose", *words], cwd=folder, env={**engine.environment, **environment}, timeout=300)


def test_compose_takes_both_files(engine: Engine, folder: Path) -> None:
    both = ("-f", "compose.yaml", "-f", "compose.gpu.yaml", "--profile", "metrics")
    said = json.loads(docker_compose(engine, folder, *both, "config", "--format", "json"))
    gateway = said["services"]["gateway"]
    assert gateway["deploy"]["resources"]["reservations"]["devices"] == [
        {"capabilities": ["gpu"], "driver": "nvidia", "count": -1}
    ]
    assert gateway["read_only"]
    assert gateway["ports"][0]["host_ip"] == "127.0.0.1"
    assert "${" not in json.dumps(said)
    alone = json.loads(docker_compose(engine, folder, "config", "--format", "json"))
    assert list(alone["services"]) == ["gateway"]


def test_what_compose_starts_serves_and_tells_no_key(
    image: BuiltImage, engine: Engine, folder: Path, capsule: Capsule
) -> None:
    place = f"127.0.0.1:{free_port()}"
    said = {"IMAGE": TAG, "LISTEN": place}
    try:
        docker_compose(engine, folder, "up", "--no-build", "--wait", **said)
        address = f"http://{place}/workflows/{capsule.name}"
        assert requests.post(address, json={}, timeout=30).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = requests.post(address, json={}, headers={**headers, "Prefer": "wait=120"}, timeout=180)
        assert answer.json()["state"] == "succeeded", answer.text
        container = docker_compose(engine, folder, "ps", "--quiet", **said).strip()
        assert KEY not in engine.docker("inspect", container)
        docker_compose(engine, folder, "restart", **said)
        docker_compose(engine, folder, "up", "--no-build", "--wait", **said)
        kept = requests.get(f"http://{place}/executions/{answer.json()['id']}", headers=headers, timeout=30)
        assert kept.json()["state"] == "succeeded"
    finally:
        docker_compose(engine, folder, "down", "--volumes", "--timeout", "5", **said)
