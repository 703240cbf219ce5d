"""A container registry of the tests' own, on loopback: Debian's docker-registry, with a login when that is wanted."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comfy_capsule.packager.comfy import free_port
from comfy_capsule.packager.command import end, run

from .engine import cache_folder

USER, PASSWORD = "capsule", "not-a-secret-but-must-not-be-told"
_HASH = "$2b$04$CAkIUT5akb8PC905YOZJb.jJs/8vP54WJpZ8PDn0.t/DJWWoaHIFS"  # of the password, by bcrypt


@contextmanager
def registry(folder: Path, *, login: bool = False) -> Iterator[str]:
    """Serve an empty registry that keeps its blobs in `folder`; what it is called in names of images.

    Raises:
        CapsuleError: ``program-failed`` where apt cannot give it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"127.0.0.1:{free_port()}"
    config: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}},
        "http": {"addr": name},
    }
    if login:
        (folder / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([_program(), "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        _wait(name, process, folder / "log")
        yield name
    finally:
        end(process, grace=10)


def _wait(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"http://{name}/v2/", timeout=5).close()
            return
        except urllib.error.HTTPError:
            return  # it wants a login
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def _program() -> Path:
    """Unpacked beside the engine, so that no service of the machine is started."""
    tools = cache_folder() / "registry"
    program = tools / "usr/bin/docker-registry"
    if not program.exists():
        tools.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "update", "-qq"], timeout=300)
        run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "docker-registry"], cwd=tools, timeout=300)
        for package in tools.glob("*.deb"):
            run(["dpkg", "-x", package, tools])
            os.unlink(package)
    return program
