"""`comfy-capsule run`: the short way to start an image, which keeps the key to whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from bench.engine import Engine
from bench.images import TAG
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.image import BuiltImage, Docker
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.run_image import start_image, stop_image

COMMAND = (sys.executable, "-m", "comfy_capsule.packager.cli", "run")


@contextmanager
def running(engine: Engine, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **engine.environment}
    process = subprocess.Popen(
        [*COMMAND, TAG, "--port", "0", "--json", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answer(process: subprocess.Popen[str]) -> dict[str, str]:
    """The JSON that it prints when it is ready."""
    assert process.stdout is not None
    lines = []
    while line := process.stdout.readline():
        lines.append(line)
        if line == "}\n":
            return dict(json.loads("".join(lines)))
    raise AssertionError(process.communicate()[1])


def test_it_serves_with_a_fresh_key_until_it_is_told_to_end(image: BuiltImage, engine: Engine) -> None:
    with running(engine) as process:
        said = answer(process)
        address = f"{said['url']}/workflows/{said['workflow']}"
        assert requests.post(address, json={}, timeout=30).status_code == 401
        headers = {"Authorization": f"Bearer {said['key']}", "Prefer": "wait=120"}
        made = requests.post(address, json={}, headers=headers, timeout=180).json()
        assert made["state"] == "succeeded", made
        seen = engine.docker("inspect", said["container"])
        assert said["key"] not in seen
        facts = json.loads(seen)[0]["HostConfig"]
        assert facts["ReadonlyRootfs"]
        assert facts["CapDrop"] == ["ALL"]
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        assert said["container"][:12] not in engine.docker("ps", "--all", "--quiet")
    with running(engine, "--detach") as process:
        again = answer(process)
        assert process.wait(30) == 0
    try:
        assert again["key"] != said["key"]
        kept = f"{again['url']}/executions/{made['id']}"
        old, new = ({"Authorization": f"Bearer {each['key']}"} for each in (said, again))
        assert requests.get(kept, headers=old, timeout=30).status_code == 401
        assert requests.get(kept, headers=new, timeout=30).json()["state"] == "succeeded", "its volume has stayed"
    finally:
        Docker(engine.environment).stop(again["container"], 5)
        engine.docker("volume", "rm", again["volume"])


def test_a_taken_port_is_said_and_nothing_stays(image: BuiltImage, engine: Engine) -> None:
    docker = Docker(engine.environment)
    first = start_image(docker, TAG, address="127.0.0.1", port=0, report=silent)
    try:
        before = engine.docker("ps", "--all", "--quiet")
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(CapsuleError) as refused:
            start_image(docker, TAG, address="127.0.0.1", port=port, report=silent)
        assert refused.value.code == "container-failed"
        assert str(port) in refused.value.message
        assert engine.docker("ps", "--all", "--quiet") == before
    finally:
        stop_image(docker, first)
        engine.docker("volume", "rm", first.volume)


def test_gpus_are_given_or_it_is_said_that_the_engine_has_none(image: BuiltImage, engine: Engine) -> None:
    docker = Docker(engine.environment)
    if "nvidia" in engine.docker("info", "-f", "{{json .Runtimes}}"):
        serving = start_image(docker, TAG, address="127.0.0.1", port=0, gpus=True, report=silent)
        assert "GPU" in engine.docker("exec", serving.container, "nvidia-smi", "-L")
        stop_image(docker, serving)
        return
    with pytest.raises(CapsuleError) as refused:
        start_image(docker, TAG, address="127.0.0.1", port=0, gpus=True, report=silent)
    assert refused.value.code == "container-failed"
    assert "gpu" in refused.value.message.lower()
    assert engine.docker("ps", "--all", "--quiet", "--filter", "label=io.comfy-capsule.run") == ""
