"""The lock of an environment on Windows, with an index that has other files of it for Linux."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from comfy_capsule.packager.snapshot.python.record import Layout, record_digest, wheel_lines
from comfy_capsule.packager.snapshot.python.wheelzip import peek

from .index import PackageIndex, make_wheel

_PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"
LINUX = f"{_PYTHON}-{_PYTHON}-manylinux_2_17_x86_64"
WINDOWS = f"{_PYTHON}-{_PYTHON}-win_amd64"


def windows_lock(scratch: Path, index: PackageIndex, unproved: Sequence[str] = ()) -> str:
    """Of an environment with one wheel of each kind; the index gets what Linux has of them, and a wheel of ``there``.

    ``pure`` runs anywhere, ``native`` has a file for each system, ``winonly`` none for Linux, and ``torchlike`` has its
    build in its version, of which Linux has another that needs ``cudalike``.
    """
    files = {
        "pure": make_wheel(index.folder, "pure"),
        "native": make_wheel(index.folder, "native", tag=WINDOWS),
        "winonly": make_wheel(index.folder, "winonly", tag=WINDOWS),
        "torchlike": make_wheel(scratch / "extra", "torchlike", "2.0+cu130", tag=WINDOWS),
    }
    make_wheel(index.folder, "there")
    make_wheel(index.folder, "native", tag=LINUX)
    make_wheel(index.folder, "native", tag="py3-none-manylinux_2_28_x86_64")
    make_wheel(index.folder, "torchlike", "2.0", tag=LINUX, requires="cudalike==1.0; sys_platform == 'linux'")
    make_wheel(index.folder, "cudalike", tag="py3-none-manylinux_2_17_x86_64")
    text = 'lock-version = "1.0"\ncreated-by = "test"\n'
    for name, file in files.items():
        version, digest = file.name.split("-")[1], hashlib.sha256(file.read_bytes()).hexdigest()
        at = f"{index.address.removesuffix('/simple')}/files/{file.name}"
        text += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        text += f'wheels = [{{ url = "{at}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    records = ", ".join(f'{name} = "{_record(files[name])}"' for name in ("pure", "native"))
    return text + f"[tool.comfy-capsule]\nunproved = {list(unproved)}\nrecords = {{ {records} }}\n"


def _record(wheel: Path) -> str:
    return record_digest(wheel_lines(peek(wheel.as_uri()).record, Layout(("Lib", "site-packages"))))
