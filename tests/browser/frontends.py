"""The versions of ComfyUI's front-end under test."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from bench.frontends import PACKAGE

_LIST = Path(__file__).with_name("frontends.txt")


def versions() -> list[str]:
    """The versions under test; the last is the newest."""
    lines = _LIST.read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def main() -> None:
    """Put the newest version into the list."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--newest", action="store_true", required=True)
    parser.parse_args()
    command = [sys.executable, "-m", "pip", "index", "versions", PACKAGE]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"\(([\d.]+)\)", said)
    if found is None:
        raise SystemExit(f"The package index says no version of {PACKAGE}: {said!r}")
    *others, _ = _LIST.read_text().splitlines()
    _LIST.write_text("\n".join([*others, found[1]]) + "\n")


if __name__ == "__main__":
    main()
