"""What this machine has of what an environment needs of the system, and the line that installs the rest."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...capsule import System
from .sonames import package_in

_TRIPLET = f"{platform.machine()}-linux-gnu"
_FOLDERS = (
    *(f"/lib/{_TRIPLET}", f"/usr/lib/{_TRIPLET}", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"),
    *(f"/usr/local/lib/{_TRIPLET}", "/usr/local/lib64"),
)
_CONFIG = Path("/etc/ld.so.conf.d")  # its files name more folders, see ldconfig(8)


def missing_libraries(system: System, also: Sequence[Path] = ()) -> tuple[str, ...]:
    """The sonames of `system` that the dynamic linker would not find here; none where it looks in no usual place.

    Args:
        also: further folders that are looked in, e.g. the ``lib`` of the Python that runs it.
    """
    folders = _folders(also)
    if not any((folder / "libc.so.6").exists() for folder in folders):
        return ()  # another C library, or a system that keeps its libraries elsewhere: nothing can be said
    names = (item.soname for item in system.libraries if item.kind == "os")
    return tuple(name for name in names if not any((folder / name).exists() for folder in folders))


def missing_programs(system: System) -> tuple[str, ...]:
    """The programs of `system` that are not on this machine's PATH."""
    return tuple(item.name for item in system.programs if item.kind == "os" and shutil.which(item.name) is None)


def missing_here(system: System, also: Sequence[Path] = ()) -> str:
    """What this machine lacks of `system`, with the line that installs it; empty when nothing is known to lack."""
    libraries, programs = missing_libraries(system, also), missing_programs(system)
    if not libraries and not programs:
        return ""
    line = install_line([*libraries, *(f"bin/{name}" for name in programs)])
    return f"missing here: {', '.join((*libraries, *programs))}" + (f"; {line}" if line else "")


def install_line(missing: Iterable[str]) -> str:
    """The command that installs these libraries and programs (``bin/NAME``) here; empty where it is not known."""
    if shutil.which("apt-get") is None:
        return ""
    release = _release()
    packages = sorted({package for name in missing if (package := package_in(name, release))})
    return f"apt-get install {' '.join(packages)}" if packages else ""


def _folders(also: Sequence[Path]) -> list[Path]:
    folders = [*also, *map(Path, os.environ.get("LD_LIBRARY_PATH", "").split(":")), *map(Path, _FOLDERS)]
    for file in sorted(_CONFIG.glob("*.conf")) if _CONFIG.is_dir() else ():
        lines = file.read_text("utf-8", "replace").splitlines()
        folders += [Path(line.strip()) for line in lines if line.strip().startswith("/")]
    return [folder for folder in folders if folder.is_absolute()]


def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""
