"""What the tests need of the machine: Chromium and a container engine. ``python -m bench.system`` sets them up."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.errors import CapsuleError

from .engine import engine

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> Path:
    """Chromium on this machine; installed from Debian's packages when run as root on Debian.

    Raises:
        CapsuleError: ``no-browser`` elsewhere.
    """
    if not (found := _found()):
        if os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
            raise CapsuleError("no-browser", "The browser tests need Chromium, which is not here.", "Install it.")
        run(["apt-get", "update", "-qq"])
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], env=environment)
        found = _found()
    if not found:
        raise CapsuleError("no-browser", "Chromium was installed, but is not on PATH.")
    return Path(found)


def _found() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def main() -> None:
    """Set both up, or say what is missing and fail."""
    try:
        print(f"browser: {browser()}")
        with engine() as found:
            print(f"container engine: {found.version}{' (of the tests)' if found.own else ''}")
    except CapsuleError as error:
        print(f"missing: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
