"""Chromium, PostgreSQL, libfaketime and an engine, as the tests need them: ``python -m bench.system`` sets them up."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.errors import CapsuleError

from .engine import engine
from .postgres import programs as postgres_programs

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> Path:
    """Chromium on this machine; installed from Debian's packages when run as root on Debian.

    Raises:
        CapsuleError: ``no-browser`` elsewhere.
    """
    if not (found := _browser()):
        install_package("chromium", "no-browser", "The browser tests need Chromium")
        found = _browser()
    if not found:
        raise CapsuleError("no-browser", "Chromium was installed, but is not on PATH.")
    return Path(found)


def _browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def postgres() -> Path:
    """The folder of PostgreSQL's programs; got like `browser`.

    Raises:
        CapsuleError: ``no-postgres`` elsewhere.
    """
    if not (found := postgres_programs()):
        settings = Path("/etc/postgresql-common/createcluster.conf")
        if os.geteuid() == 0 and not settings.exists():  # the package would start a server of its own
            settings.parent.mkdir(parents=True, exist_ok=True)
            settings.write_text("create_main_cluster = false\n")
        install_package("postgresql", "no-postgres", "The tests of a shared store need PostgreSQL's server")
        found = postgres_programs()
    if not found:
        raise CapsuleError("no-postgres", "PostgreSQL was installed, but its programs are not found.")
    return found


def faketime() -> Path:
    """The library that gives a process another clock (``LD_PRELOAD``); got like `browser`.

    Raises:
        CapsuleError: ``no-faketime`` elsewhere.
    """
    if not (found := _faketime()):
        install_package("libfaketime", "no-faketime", "The tests of a clock that jumps need libfaketime")
        found = _faketime()
    if not found:
        raise CapsuleError("no-faketime", "libfaketime was installed, but is not found.")
    return found


def _faketime() -> Path | None:
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def install_package(package: str, code: str, reason: str) -> None:
    """Debian's `package`, when run as root on Debian."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
        raise CapsuleError(code, f"{reason}, which is not here.", "Install it.")
    run(["apt-get", "update", "-qq"])
    words = ["install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", package]
    run(["apt-get", *words], env={"DEBIAN_FRONTEND": "noninteractive"})


def main() -> None:
    """Set all of it up, or say what is missing and fail."""
    try:
        print(f"browser: {browser()}")
        print(f"PostgreSQL: {postgres()}")
        print(f"libfaketime: {faketime()}")
        with engine() as found:
            print(f"container engine: {found.version}{' (of the tests)' if found.own else ''}")
    except CapsuleError as error:
        print(f"missing: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
