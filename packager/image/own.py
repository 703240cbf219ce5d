"""Our own package as it goes into an image: the engine's files, without tests and without the app's side."""

from __future__ import annotations

import shutil
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]

LAUNCHER = """\
#!/opt/gateway/bin/python
from comfy_capsule.packager.cli import main

main()
"""


def copy_own(into: Path) -> None:
    """Write the package, as ``comfy_capsule`` will be imported from site-packages, into the new folder `into`."""
    into.mkdir(parents=True)
    for name in ("__init__.py", "LICENSE"):
        if (_PACKAGE / name).is_file():
            shutil.copyfile(_PACKAGE / name, into / name)
    shutil.copytree(
        _PACKAGE / "packager", into / "packager", ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    )


def requirements(name: str) -> Path:
    """The file of exactly pinned requirements `name` (``gateway`` or ``uv``), with hashes; written by ``make pins``."""
    return Path(__file__).with_name(f"{name}-requirements.txt")
