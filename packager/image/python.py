"""The captured Python, carried: an interpreter of the exact version and its standard library, for the context."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command import run
from ..errors import BadInput, CapsuleError
from ..materialise import InstalledPython, ManagedPython, PythonSource, RunningPython
from ..progress import Progress, Report

# uv's own builds run on any Linux, so they would be the best; RunningPython is the likeliest to be exact.
_SOURCES: tuple[PythonSource, ...] = (RunningPython(), InstalledPython(), ManagedPython())

#: Where a distribution keeps its own Python: scattered over the system, no prefix that can be moved.
_SYSTEM_PREFIXES = (Path("/usr"), Path("/"))


def find_prefix(version: str, implementation: str, sources: Sequence[PythonSource] = _SOURCES) -> Path:
    """The prefix of an interpreter of exactly `version` that can be moved as a whole, e.g. one of pyenv or uv.

    Raises:
        BadInput: ``image-no-python``.
    """
    scattered = False
    for source in sources if sys.platform == "linux" else ():
        interpreter = source.find(version, implementation)
        if interpreter is None:
            continue
        prefix = Path(run([interpreter, "-I", "-c", "import sys; print(sys.base_prefix)"]).strip())
        if prefix not in _SYSTEM_PREFIXES:
            return prefix
        scattered = True
    why = "only as the system's own, which cannot be carried" if scattered else "not"
    raise BadInput(
        "image-no-python",
        f"The image needs {implementation} {version}, which is {why} on this machine.",
        f"Run `uv python install {version}`, or give a --base image with that Python, e.g. python:{version}-slim.",
    )


def carry_python(prefix: Path, version: str, into: Path, report: Report) -> None:
    """Copy interpreter, shared library and standard library of `prefix` into the new folder `into`.

    What was installed into the prefix (``site-packages``) and byte code stay behind; nothing else is left out.

    Raises:
        CapsuleError: ``image-python-odd`` when `prefix` does not look like one.
    """
    short = ".".join(version.split(".")[:2])
    interpreter, library = prefix / "bin" / f"python{short}", prefix / "lib" / f"python{short}"
    if not interpreter.is_file() or not (library / "os.py").is_file():
        raise CapsuleError("image-python-odd", f"The Python in {prefix} has no {interpreter.name} or no library.")
    report(Progress(phase="image", item=f"Python {version}"))
    (into / "bin").mkdir(parents=True)
    shutil.copyfile(interpreter, into / "bin" / interpreter.name)
    (into / "bin" / interpreter.name).chmod(0o755)
    for name in ("python", "python3"):
        os.symlink(interpreter.name, into / "bin" / name)
    (into / "lib").mkdir()
    for shared in sorted(prefix.glob("lib/libpython*.so*")):
        shutil.copy2(shared, into / "lib" / shared.name, follow_symlinks=False)
    shutil.copytree(
        library,
        into / "lib" / library.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "site-packages"),
    )
