"""Twelve secrets stand in the builder's environment and files; none is in what comes of the build."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engine import Engine, logged_in
from bench.images import small_capsule
from bench.index import PackageIndex, make_wheel, serving_index
from bench.python_env import HERE
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.image import Docker, build
from comfy_capsule.packager.progress import Progress

TAG = "comfy-capsule-test:secrets"
VARIABLES = (
    *("HF_TOKEN", "CIVITAI_API_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "COMFY_CAPSULE_API_KEYS"),
    *("PIP_INDEX_URL", "UV_INDEX_PASSWORD_X", "GIT_CONFIG_VALUE_0"),
)
SECRETS = {
    name: f"planted-{hashlib.sha256(name.encode()).hexdigest()[:20]}" for name in (*VARIABLES, "netrc", "ca", "login")
}


@pytest.fixture
def index(engine: Engine, tmp_path: Path) -> Iterator[PackageIndex]:
    """An index with a login that the engine's containers reach."""
    with serving_index(tmp_path / "wheels", "0.0.0.0") as served:
        served.password = SECRETS["netrc"]
        port = served.address.rpartition(":")[2].partition("/")[0]
        served.address = f"http://{engine.host_address()}:{port}"
        yield served


def lock_of(wheel: Path, address: str) -> str:
    """An environment with one wheel, which is on the index at `address`."""
    return (
        f'lock-version = "1.0"\ncreated-by = "t"\nrequires-python = "=={HERE}"\n\n[[packages]]\nname = "alpha"\n'
        f'version = "1.0"\n[[packages.wheels]]\nurl = "{address}/files/{wheel.name}"\n'
        f'hashes = {{sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}"}}\n'
    )


def test_twelve_planted_secrets_come_into_nothing(
    engine: Engine, base: str, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, SECRETS[name])
    monkeypatch.setenv("PIP_INDEX_URL", f"https://me:{SECRETS['PIP_INDEX_URL']}@index.example/simple")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "http.https://example.com.extraHeader")
    netrc, bundle = tmp_path / "netrc", tmp_path / "ca.crt"
    host = index.address.removeprefix("http://").partition(":")[0]
    netrc.write_text(f"machine {host} login me password {SECRETS['netrc']}\n")
    own = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    bundle.write_text(f"# {SECRETS['ca']}\n{Path(own).read_text()}")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    login = logged_in(engine, tmp_path / "docker", {"registry.example": SECRETS["login"]})
    wheel = make_wheel(index.folder, "alpha")
    capsule = small_capsule(tmp_path, lock_of(wheel, index.address))

    said: list[Progress] = []
    docker = Docker({**engine.environment, "DOCKER_CONFIG": str(login)})
    with pytest.raises(CapsuleError, match="401") as refused:
        build(capsule, TAG, engine=docker, base=base, report=said.append, prove=False)
    how = {"engine": docker, "base": base, "prove": False, "netrc": netrc, "no_cache": True}
    image = build(capsule, TAG, report=said.append, **how)
    assert f"files/{wheel.name}" in "".join(f"files/{name}" for name in index.asked)

    told = f"{refused.value} {said}".encode() + image.log.read_bytes()
    told += engine.docker("history", "--no-trunc", TAG).encode() + engine.docker("inspect", TAG).encode()
    told += subprocess.run(
        ["docker", "save", TAG], env=dict(engine.environment), capture_output=True, check=True
    ).stdout
    found = {name for name, secret in SECRETS.items() if secret.encode() in told}
    assert len(SECRETS) == 12
    assert found == set()
    assert b"alpha-1.0.dist-info" in told, "the layers were looked at"
