"""A real Docker Engine for the tests: the one that is there, else a disposable one from Debian packages.

On a bare Debian machine, as root, the engine of a newer Debian release is unpacked beside the system (nothing
is upgraded) into the bench cache and started on a socket of its own. Its data stays between runs, so that
BuildKit's cache mounts and layers are warm; the daemon itself ends with its last user. Several processes may use
it at once: each holds a shared lock, the first starts the daemon, the last stops it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from comfy_capsule.packager.command import run
from comfy_capsule.packager.errors import CapsuleError

from .cache import cache_root

_SUITE = "trixie"
"""The Debian release whose engine is unpacked: bookworm's own (20.10) knows neither `COPY --link` nor heredocs."""

_UNPACKED = ("docker.io", "containerd", "tini", "docker-cli", "docker-buildx", "docker-compose", "cosign")
_INSTALLED = ("runc", "iptables", "mmdebstrap")
"""From the machine's own release: runc must match its libraries."""

_START_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """An engine that answers.

    Attributes:
        environment: what a process needs in its environment to reach it (``DOCKER_HOST``, ``DOCKER_CONFIG``, ``PATH``).
        version: the server's version.
        own: whether the bench started it.
    """

    environment: Mapping[str, str]
    version: str
    own: bool

    def docker(self, *words: str, timeout: float = 600) -> str:
        """The standard output of ``docker WORDS``."""
        return run(["docker", *words], env=self.environment, timeout=timeout)

    def host_address(self) -> str:
        """Where containers reach this machine."""
        return self.docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()


def logged_in(engine: Engine, folder: Path, logins: Mapping[str, str]) -> Path:
    """`folder`, made a Docker configuration with ``{registry: login in base64}``, and with the plugins of `engine`."""
    folder.mkdir()
    plugins = Path(engine.environment.get("DOCKER_CONFIG", Path.home() / ".docker"), "cli-plugins")
    if plugins.is_dir():
        (folder / "cli-plugins").symlink_to(plugins)
    auths = {name: {"auth": auth} for name, auth in logins.items()}
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    return folder


def cache_folder() -> Path:
    """Where the bench keeps the engine, its data and base images."""
    return cache_root() / "engine"


@contextmanager
def engine(folder: Path | None = None, *, containerd_store: bool = False) -> Iterator[Engine]:
    """A running engine with buildx, until the block ends.

    Args:
        folder: where the bench's own engine lives; the bench cache when not given. When given, the machine's
            engine is never used (tests that need two clean engines).
        containerd_store: whether the own engine keeps images in containerd's store instead of its own graph
            driver; reproducible builds need it, everyday builds are faster without (docs/engine.md).

    Raises:
        CapsuleError: ``bench-no-engine`` says what is missing, ``bench-engine-failed`` what the daemon logged.
    """
    if folder is None and (there := _answering(os.environ, own=False)):
        yield there
        return
    home = folder or cache_folder()
    _require_debian_root()
    home.mkdir(parents=True, exist_ok=True)
    store = "containerd" if containerd_store else "graph"
    with open(home / f"users-{store}.lock", "w") as users:
        with _locked(home / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            environment = _environment(home, store)
            found = _answering(environment, own=True) or _start(home, store, environment)
        try:
            yield found
        finally:
            with _locked(home / "start.lock"):
                if _is_last(users):
                    _stop(_runtime(home, store) / "dockerd.pid")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answering(environment: Mapping[str, str], *, own: bool) -> Engine | None:
    """The engine that answers under `environment`, if it can build."""
    names = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "PATH")
    wanted = {name: environment[name] for name in names if name in environment}
    try:
        version = run(["docker", "version", "-f", "{{.Server.Version}}"], env=wanted, timeout=10).strip()
        run(["docker", "buildx", "version"], env=wanted, timeout=10)
    except CapsuleError:
        return None
    return Engine(environment=wanted, version=version, own=own)


def _require_debian_root() -> None:
    missing = [
        sentence
        for absent, sentence in (
            (os.geteuid() != 0, "this user is not root"),
            (shutil.which("apt-get") is None, "this is not Debian"),
        )
        if absent
    ]
    if missing:
        raise CapsuleError(
            "bench-no-engine",
            f"No Docker Engine with buildx answers, and none can be set up: {' and '.join(missing)}.",
            "Start Docker (`docker info` and `docker buildx version` must work), or run as root on Debian.",
        )


def _runtime(home: Path, store: str) -> Path:
    """Sockets and pid files: a short path (a socket's may have 107 bytes) that a reboot clears."""
    return Path("/run/comfy-capsule") / f"{hashlib.sha256(str(home).encode()).hexdigest()[:8]}-{store}"


def _environment(home: Path, store: str) -> dict[str, str]:
    tools = home / "tools" / "usr"
    return {
        "PATH": f"{tools / 'sbin'}:{tools / 'bin'}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{_runtime(home, store) / 'docker.sock'}",
        "DOCKER_CONFIG": str(home / "config"),
    }


def _unpack(home: Path) -> None:
    """Put the engine's programs under ``home/tools``, once; signatures are checked by apt with its own keys."""
    if (home / "config" / "cli-plugins" / "docker-buildx").exists() and (home / "tools/usr/bin/cosign").exists():
        return
    run(["apt-get", "update", "-qq"], timeout=300)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *_INSTALLED], env=quiet, timeout=600)

    apt, debs, tools = home / "apt", home / "debs", home / "tools"
    for folder in (apt / "lists" / "partial", debs, tools):
        folder.mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb {_mirror()} {_SUITE} main\n")
    (apt / "status").write_text("")
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run(["apt-get", "-qq", *options, "update"], timeout=300)
    run(["apt-get", "-qq", *options, "download", *_UNPACKED], cwd=debs, timeout=600)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, tools])
    shutil.rmtree(debs)
    plugins = home / "config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for plugin in (tools / "usr/libexec/docker/cli-plugins").iterdir():
        link = plugins / plugin.name
        link.unlink(missing_ok=True)
        link.symlink_to(plugin)


def _mirror() -> str:
    """The Debian mirror this machine already uses."""
    lines = run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]).splitlines()
    sites = [site for site in lines if "debian" in site and "security" not in site]
    if not sites:
        raise CapsuleError("bench-no-engine", "apt has no Debian mirror configured.", "Configure one, or start Docker.")
    return sites[0]


def _start(home: Path, store: str, environment: Mapping[str, str]) -> Engine:
    _unpack(home)
    runtime = _runtime(home, store)
    runtime.mkdir(parents=True, exist_ok=True)
    pid_file = runtime / "dockerd.pid"
    _stop(pid_file)  # one that no longer answers
    settings = {
        "features": {"containerd-snapshotter": store == "containerd"},
        "data-root": str(home / f"data-{store}"),
        "exec-root": str(runtime / "exec"),
        "pidfile": str(pid_file),
        "hosts": [environment["DOCKER_HOST"]],
        # What the tests build stays warm, but not for ever.
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": "16GB"}},
    }
    config = home / f"daemon-{store}.json"
    config.write_text(json.dumps(settings, indent=1))
    log = home / f"dockerd-{store}.log"
    with open(log, "wb") as output:
        daemon = subprocess.Popen(
            ["dockerd", "--config-file", str(config)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if found := _answering(environment, own=True):
            found.docker("image", "prune", "--force")  # images that a later build took the tag from
            return found
        time.sleep(0.1)
    _stop(pid_file)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise CapsuleError("bench-engine-failed", f"dockerd did not start: {tail}", f"Its whole log is {log}.")


def _stop(pid_file: Path) -> None:
    """End the daemon that wrote `pid_file`, and wait until it is gone; its containers end with it."""
    try:
        pid = int(pid_file.read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() != "dockerd":
            return
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists() or _is_zombie(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def _is_zombie(pid: int) -> bool:
    """A daemon that this very process started stays a zombie until it is reaped; it is gone all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
