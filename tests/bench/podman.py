"""A podman for the tests, with storage and settings of its own; from Debian's packages where it is missing."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from comfy_capsule.packager.command import run

from .baseimage import root_file_system
from .cache import cache_root

_INSTALLED = ("podman", "runc", "iptables")
_BASE = "localhost/comfy-capsule/bench-base:bookworm"


@dataclass(frozen=True)
class PodmanBench:
    """A podman with nothing in it but `base`, an image.

    Attributes:
        folder: of its storage and settings.
        environment: what makes the program use these.
    """

    folder: Path
    environment: Mapping[str, str]
    base: str = _BASE

    def podman(self, *words: str) -> str:
        """The standard output of ``podman WORDS``."""
        return run(["podman", *words], env=self.environment, timeout=300)

    def know_registry(self, name: str, login: str) -> None:
        """Have it talk to the registry `name` without TLS, logged in by `login`, in base64."""
        settings = f'[[registry]]\nlocation = "{name}"\ninsecure = true\n'
        Path(self.environment["CONTAINERS_REGISTRIES_CONF"]).write_text(settings)
        Path(self.environment["REGISTRY_AUTH_FILE"]).write_text(json.dumps({"auths": {name: {"auth": login}}}))


@contextmanager
def podman_bench(folder: Path) -> Iterator[PodmanBench]:
    """A podman that keeps everything in `folder`, until the block ends.

    Raises:
        CapsuleError: ``command-failed`` where apt cannot give it.
    """
    if shutil.which("podman") is None:
        run(["apt-get", "update", "-qq"], timeout=300)
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *_INSTALLED], env=quiet, timeout=600)
    bench = PodmanBench(folder, _settings(folder))
    try:
        bench.podman("import", str(root_file_system()), _BASE)
        yield bench
    finally:
        bench.podman("rm", "--all", "--force", "--time", "0")
        bench.podman("volume", "prune", "--force")
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(f"{folder}/"):
                run(["umount", "--lazy", place])
        shutil.rmtree(folder / "root")


def _settings(folder: Path) -> dict[str, str]:
    # The downloads of its builds stay, as `--mount=type=cache` is for; podman has no other setting for where.
    kept = cache_root() / "podman"
    kept.mkdir(parents=True, exist_ok=True)
    # More open files than this very process may have is what podman asks for, and not every machine gives it.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    texts = {
        "storage": f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n',
        "containers": f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=1024:1024"]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        "registries": "",
    }
    for name, text in texts.items():
        (folder / f"{name}.conf").write_text(text)
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "TMPDIR": str(kept),
    }
