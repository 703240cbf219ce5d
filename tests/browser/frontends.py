"""ComfyUI's front-end in the versions under test, each unpacked once into the bench's cache."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import cache_root
from comfy_capsule.packager.command import run
from comfy_capsule.packager.uv import find_uv

_LIST = Path(__file__).with_name("frontends.txt")
_PACKAGE = "comfyui-frontend-package"


def versions() -> list[str]:
    """The versions under test; the last is the newest."""
    lines = _LIST.read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def frontend_root(version: str) -> Path:
    """The folder that ``--front-end-root`` takes for `version`, from the package index when it is not there."""
    final = cache_root() / "frontends" / version
    if not final.is_dir():
        final.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent) as folder:
            place = Path(folder, "place")
            run([find_uv(), "pip", "install", "--quiet", "--no-deps", "--target", place, f"{_PACKAGE}=={version}"])
            place.rename(final)
    return final / "comfyui_frontend_package" / "static"


def main() -> None:
    """Put the newest version into the list."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--newest", action="store_true", required=True)
    parser.parse_args()
    command = [sys.executable, "-m", "pip", "index", "versions", _PACKAGE]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"\(([\d.]+)\)", said)
    if found is None:
        raise SystemExit(f"The package index says no version of {_PACKAGE}: {said!r}")
    *others, _ = _LIST.read_text().splitlines()
    _LIST.write_text("\n".join([*others, found[1]]) + "\n")


if __name__ == "__main__":
    main()
