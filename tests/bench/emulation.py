"""Programs for another machine run here, under qemu, by Debian's packages and the kernel's ``binfmt_misc``."""

from __future__ import annotations

import shutil
from pathlib import Path

from comfy_capsule.packager.command import run

from .system import install_package

_PACKAGES = {
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "arch-test": "arch-test",  # mmdebstrap asks it whether the other machine's programs run
}
_REGISTERED = Path("/proc/sys/fs/binfmt_misc")


def emulate_arm() -> None:
    """Make this machine run programs for ``arm64``, containers' too.

    Raises:
        CapsuleError: ``no-emulation`` where Debian's packages cannot be had; what the kernel refuses.
    """
    for program, package in _PACKAGES.items():
        if not shutil.which(program):
            install_package(package, "no-emulation", "An image for another machine is run under qemu")
    if not (_REGISTERED / "status").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", _REGISTERED])
    if not (_REGISTERED / "qemu-aarch64").exists():
        run(["update-binfmts", "--enable", "qemu-aarch64"])
