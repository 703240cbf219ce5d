"""Our own package as it goes into an image: the engine's files, without tests and without the app's side."""

from __future__ import annotations

import shutil
import tomllib
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]


def copy_own(into: Path) -> None:
    """Write the package into the new folder `into`, as it lies in a site-packages."""
    package = into / "comfy_capsule"
    package.mkdir(parents=True)
    for name in ("__init__.py", "LICENSE"):
        if (_PACKAGE / name).is_file():
            shutil.copyfile(_PACKAGE / name, package / name)
    shutil.copytree(
        _PACKAGE / "packager", package / "packager", ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    )
    # What ``comfy-capsule --version`` reads.
    version = own_version()
    information = into / f"comfy_capsule-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: comfy-capsule\nVersion: {version}\n")


def own_version() -> str:
    """Our version: of the clone that runs, else of the installed distribution."""
    project = _PACKAGE / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("comfy-capsule")


def requirements(name: str) -> Path:
    """The file of exactly pinned requirements `name` (``gateway`` or ``uv``), with hashes; written by ``make pins``."""
    return Path(__file__).with_name(f"{name}-requirements.txt")
