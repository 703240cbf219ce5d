"""A capsule becomes an image by a real engine: it runs as anybody, serves the same picture, and holds nothing more."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bench import PICTURE, UPSCALE, RunningComfy, example_picture, pixels
from bench.engine import Engine
from bench.images import HARDENED, KEY, TAG, built
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.image import BuiltImage, Docker, write_context
from comfy_capsule.packager.materialise import read_pylock
from comfy_capsule.packager.progress import Progress, silent


@contextmanager
def healthy(engine: Engine, *options: str, key: str = KEY) -> Iterator[str]:
    """The name of a container of the image when its own health check is content."""
    environment = ("-e", f"COMFY_CAPSULE_API_KEYS={key}")
    name = engine.docker("run", "--detach", *HARDENED, *environment, *options, TAG).strip()
    try:
        end = time.monotonic() + 180
        while (state := engine.docker("inspect", "-f", "{{.State.Health.Status}}", name).strip()) == "starting":
            assert time.monotonic() < end
            time.sleep(0.5)
        assert state == "healthy", logs(engine, name)
        yield name
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def logs(engine: Engine, name: str) -> str:
    done = subprocess.run(["docker", "logs", name], env=dict(engine.environment), capture_output=True, check=True)
    return (done.stdout + done.stderr)[-3000:].decode(errors="replace")


def inside(engine: Engine, *argv: str) -> str:
    """What a program of the image prints."""
    return engine.docker("run", "--rm", "--network", "none", "--user", "0", "--entrypoint", argv[0], TAG, *argv[1:])


def layers(engine: Engine) -> list[str]:
    return list(json.loads(engine.docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", TAG)))


def test_it_serves_the_same_picture_as_anybody(image: BuiltImage, engine: Engine, comfy: RunningComfy) -> None:
    outputs = comfy.generate(UPSCALE.api)
    wanted = next(item["bytes"] for output in outputs.values() for item in output.get("images", ()))
    with healthy(engine, "--user", "12345:54321", "-p", "127.0.0.1::8000") as name:
        address = "http://" + engine.docker("port", name, "8000").split()[0]
        assert requests.get(f"{address}/workflows", timeout=10).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}", "Prefer": "wait=120"}
        files = {"picture": (PICTURE, example_picture(), "image/png")}
        answer = requests.post(f"{address}/workflows/upscale", files=files, headers=headers, timeout=180)
        assert answer.status_code == 200, answer.text
        output = answer.json()["outputs"]["image"][0]
        got = requests.get(address + output["url"], headers=headers, timeout=60).content
        assert pixels(got) == pixels(wanted)
        assert engine.docker("exec", name, "id", "-u").strip() == "12345"

        begun = time.monotonic()
        engine.docker("stop", "--time", "60", name)
        assert time.monotonic() - begun < 30
        assert engine.docker("inspect", "-f", "{{.State.ExitCode}}", name).strip() == "0"


CALL = """
import json, urllib.request as r
headers = {"Authorization": "Bearer %s", "Content-Type": "application/json", "Prefer": "wait=170"}
asked = r.Request("http://127.0.0.1:8000/workflows/upscale", b"{}", headers)
print(json.load(r.urlopen(asked, timeout=180))["state"])
"""
KILL = r"""
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if "main.py" in open(f"/proc/{pid}/cmdline").read().split("\0"):
        os.kill(int(pid), signal.SIGKILL)
        print("killed")
"""


def test_without_a_network_it_serves_and_a_killed_comfyui_comes_back(image: BuiltImage, engine: Engine) -> None:
    with healthy(engine, "--network", "none", "--user", "23456:65432") as name:
        python = ("exec", name, "/gateway/bin/python", "-c")
        assert engine.docker(*python, CALL % KEY).split() == ["succeeded"]
        assert engine.docker(*python, KILL).split() == ["killed"]
        assert engine.docker(*python, CALL % KEY).split() == ["succeeded"]


def test_without_a_key_it_does_not_listen(image: BuiltImage, engine: Engine) -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", *HARDENED, TAG],
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "COMFY_CAPSULE_API_KEYS" in done.stderr


def test_comfyuis_environment_is_the_lock_and_nothing_else(image: BuiltImage, engine: Engine, capsule: Capsule) -> None:
    listing = (
        "import importlib.metadata as m; print(*sorted(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"
    )
    found = inside(engine, "/opt/venv/bin/python", "-c", listing).splitlines()
    wanted = read_pylock(capsule.pylock).versions()
    assert {line.split()[0].lower().replace("_", "-").replace(".", "-") for line in found} == set(wanted)
    assert inside(engine, "/opt/venv/bin/python", "-V").split()[1] == capsule.lock.platform.python


def test_nothing_of_the_build_stays(image: BuiltImage, engine: Engine) -> None:
    found = inside(
        engine,
        *("find", "/", "-xdev", "(", "-name", ".git", "-o", "-path", "*/bin/uv", "-o", "-name", "gcc", "-o", "-path"),
        *("/build*", "-o", "-path", "/run/secrets*", "-o", "-path", "/root/?*", "-o", "-path", "/tmp/?*", ")"),
        *("-not", "-path", "/root/.bashrc", "-not", "-path", "/root/.profile", "-type", "f", "-print"),
    )
    assert found == ""
    history = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", TAG)
    assert "BEGIN CERTIFICATE" not in history
    proof = json.loads(inside(engine, "cat", "/proof.json"))
    assert proof["equal"] is all(item["equal"] for item in proof["rows"]) is True
    proved = {(item["kind"], item["subject"]) for item in proof["rows"]}
    assert {("node", "BenchTint"), ("pack", "bench-tint"), ("import", "bench-tint"), ("python", "torch")} <= proved
    assert {("graph", "API graph"), ("comfyui", "ComfyUI"), ("system", "libfribidi.so.0")} <= proved


def test_it_says_what_it_is_made_of(image: BuiltImage, engine: Engine, capsule: Capsule) -> None:
    text = inside(engine, "cat", "/sbom.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = {item["bom-ref"]: item for item in json.loads(text)["components"]}
    installed = inside(engine, "dpkg-query", "-W", "-f", "debian/${Package}@${Version}\n").split()
    assert {*installed} == {name for name in bill if name.startswith("debian/")}
    wanted = read_pylock(capsule.pylock).versions()
    assert {f"python/{name}@{version}" for name, version in wanted.items()} <= bill.keys()
    assert bill[f"python/torch@{wanted['torch']}"]["hashes"]
    assert bill[f"comfyui/ComfyUI@{capsule.lock.comfyui.version}"]["licenses"] == [{"license": {"id": "GPL-3.0-only"}}]
    models = {item["hashes"][0]["content"] for item in bill.values() if item["type"] == "machine-learning-model"}
    assert models == {model.sha256 for model in capsule.lock.models}
    assert any(name.startswith("gateway/aiohttp@") for name in bill)


def test_it_says_which_capsule_it_is(image: BuiltImage, engine: Engine, capsule: Capsule) -> None:
    info = Docker(engine.environment).inspect(TAG)
    assert info is not None
    assert info.id == image.digest
    assert info.labels["io.comfy-capsule.capsule"] == capsule.digests.capsule
    assert info.labels["io.comfy-capsule.environment"] == capsule.digests.environment


def test_a_changed_workflow_is_built_in_seconds_and_only_its_layers_are_new(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path
) -> None:
    before = layers(engine)
    tint = next(node for node, said in capsule.graph.items() if said["class_type"] == "BenchTint")
    graph = {**capsule.graph, tint: {**capsule.graph[tint], "_meta": {"title": "Another"}}}
    changed = replace(capsule, graph=graph, sealed="")
    steps: list[Progress] = []
    again = built(changed, engine, base, comfyui, report=steps.append)
    try:
        assert again.seconds < 30  # 5 s alone; the figure is image-rebuild-s
        assert layers(engine)[:-2] == before[:-2]
        assert layers(engine)[-1] != before[-1]
        sizes = engine.docker("history", "--human=false", "--format", "{{.Size}}", TAG).split()
        new = sum([int(size) for size in sizes if size != "0"][:2])
        assert new - len(capsule.files["comfyui.bundle"]) < 1_000_000  # the bench's ComfyUI has no remote
        assert steps[-1].phase == "build"
    finally:
        built(capsule, engine, base, comfyui)


def test_the_same_capsule_is_the_same_image(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path
) -> None:
    assert built(capsule, engine, base, comfyui).digest == image.digest


def test_another_node_signature_fails_the_build_and_tags_nothing(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path
) -> None:
    other = {**capsule.object_info["BenchTint"], "output": ["MASK"]}
    forged = replace(capsule, object_info={**capsule.object_info, "BenchTint": other}, sealed="")
    with pytest.raises(CapsuleError) as caught:
        built(forged, engine, base, comfyui, tag="comfy-capsule-test:forged")
    assert caught.value.code == "proof-failed"
    assert "node BenchTint: expected as captured, found differs in output." in caught.value.message
    assert Docker(engine.environment).inspect("comfy-capsule-test:forged") is None


def test_cancel_leaves_nothing(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path, tmp_path: Path
) -> None:
    def cancel(event: Progress) -> None:
        if event.phase == "build":
            raise Cancelled

    with pytest.raises(Cancelled):
        built(
            replace(capsule, graph={**capsule.graph}, sealed=""), engine, base, comfyui, "comfy-capsule-test:no", cancel
        )
    assert Docker(engine.environment).inspect("comfy-capsule-test:no") is None


def test_the_context_builds_without_our_tool(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path, tmp_path: Path
) -> None:
    """As the README inside says; with the layers that the tool made, so the two agree to the byte."""
    folder = tmp_path / "context"
    write_context(capsule, folder, base=base, models_from=[comfyui / "models"], report=silent)
    command = next(line for line in (folder / "README.md").read_text().splitlines() if "docker buildx build" in line)
    words = command.replace("-t upscale .", "-t comfy-capsule-test:plain").split()[1:]
    engine.docker(*words, str(folder), timeout=600)
    info = Docker(engine.environment).inspect("comfy-capsule-test:plain")
    assert info is not None
    assert info.id == image.digest
    engine.docker("image", "rm", "comfy-capsule-test:plain")
