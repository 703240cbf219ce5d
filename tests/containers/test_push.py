"""An image is pushed to a registry with a login, found there by its digest, and signed."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engine import Engine, logged_in
from bench.images import small_capsule
from bench.registry import PASSWORD, USER, registry
from comfy_capsule.packager.errors import Blocked, CapsuleError
from comfy_capsule.packager.image import Docker, build, publish, why_unsigned
from comfy_capsule.packager.progress import Progress, silent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path / "registry", login=True) as name:
        yield name


@pytest.fixture
def login(engine: Engine, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration after ``docker login``; that of the process, as a user has it."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    folder = logged_in(engine, tmp_path / "docker", {store: auth})
    for name, value in {**engine.environment, "DOCKER_CONFIG": str(folder)}.items():
        monkeypatch.setenv(name, value)
    return folder


def test_it_is_pushed_signed_and_reproducible_from_a_base_in_a_registry(
    engine: Engine, base: str, store: str, login: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capsule = small_capsule(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", "of-the-key")
    for name in ("mine", "other"):
        subprocess.run(("cosign", "generate-key-pair", "--output-key-prefix", tmp_path / name), check=True)
    key = str(tmp_path / "mine.key")
    tag, there = f"{store}/team/w:1", f"{store}/base:1"
    said = {"engine": Docker(), "prove": False, "reproducible": True}
    with pytest.raises(Blocked, match="no registry has given a digest to the base"):
        build(capsule, tag, base=base, report=silent, **said)
    run = {"check": True, "capture_output": True}
    subprocess.run(("docker", "tag", base, there), **run)
    subprocess.run(("docker", "push", there), **run)
    subprocess.run(("docker", "rmi", there), **run)

    told: list[Progress] = []
    image = build(capsule, tag, base=there, report=told.append, no_cache=True, **said)
    pushed = publish(Docker(), [tag], tag, told.append, key=key)
    assert {"pull", "push"} <= {event.phase for event in told}
    reference = f"{store}/team/w@{pushed}"
    assert why_unsigned(reference, str(tmp_path / "mine.pub")) == ""
    assert why_unsigned(reference, str(tmp_path / "other.pub")) != ""
    subprocess.run(("docker", "rmi", tag), **run)
    subprocess.run(("docker", "pull", reference), **run)
    found = Docker().inspect(reference)
    assert found is not None
    assert found.id == image.digest
    build(capsule, tag, base=there, report=silent, no_cache=True, **said)
    assert publish(Docker(), [tag], tag, silent) == pushed
    joined = publish(Docker(), [tag], f"{store}/team/w:all", silent)
    inspect = ("docker", "buildx", "imagetools", "inspect", "--raw", f"{store}/team/w@{joined}")
    index = json.loads(subprocess.check_output(inspect))
    assert [item["digest"] for item in index["manifests"]] == [pushed]
    for name in (tag, there):
        subprocess.run(("docker", "rmi", name), check=False)


def test_a_registry_that_refuses_is_said(
    engine: Engine, base: str, store: str, login: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (login / "config.json").write_text("{}")
    tag = f"{store}/w:1"
    subprocess.run(("docker", "tag", base, tag), check=True)
    with pytest.raises(CapsuleError) as refused:
        publish(Docker(), [tag], tag, silent)
    assert refused.value.code == "push-failed"
    assert "docker login" in refused.value.cure
    subprocess.run(("docker", "rmi", tag), check=True, capture_output=True)
