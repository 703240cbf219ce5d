"""The capsule's Python environment: a fresh venv with exactly what `pylock.toml` says, nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import tomlkit
from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict

from ..capsule import Lock
from ..command import run, watch
from ..errors import BadInput, Blocked, CapsuleError
from ..progress import Progress, Report
from ..uv import find_uv
from .interface import PythonSource
from .interpreters import PYTHON_SOURCES, find_python

_DOWNLOADING = re.compile(r"^\s*(?:Downloading|Building|Updating) (.+)$", re.MULTILINE)


class LockedPython(BaseModel):
    """What `pylock.toml` says: the locked packages, and the pins of which it knows no file.

    Attributes:
        unproved: ``name==version`` each; to be had from an index, without a hash to hold it to.
        builds: the names that come as source, so that installing them runs their code.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    pylock: Pylock
    unproved: tuple[str, ...]
    builds: tuple[str, ...]

    def versions(self) -> dict[str, str]:
        """``{normalized name: version}`` of everything that must be installed; empty where any will do."""
        pinned = {str(item.name): str(item.version or "") for item in self.pylock.packages}
        return pinned | {_name(pin): pin.partition("==")[2] for pin in self.unproved}


def read_pylock(text: str) -> LockedPython:
    """Read a capsule's `pylock.toml` (PEP 751, by `packaging.pylock`).

    Raises:
        BadInput: ``pylock-unreadable``.
    """
    try:
        said = tomllib.loads(text)
        pylock = Pylock.from_dict(said)
        pylock.validate()
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        message = f"The capsule's pylock.toml cannot be read: {error}."
        raise BadInput("pylock-unreadable", message, "Export the capsule again.") from error
    unproved = tuple(str(pin) for pin in ((pylock.tool or {}).get("comfy-capsule") or {}).get("unproved", ()))
    for pin in unproved:
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", pin):  # it becomes a line for uv
            message = f"The capsule's pylock.toml names {pin!r}, which is no name==version."
            raise BadInput("pylock-unreadable", message, "Export the capsule again.")
    return LockedPython(pylock=pylock, unproved=unproved, builds=tuple(_builds(pylock.packages)))


def install_python(
    lock: Lock,
    pylock_text: str,
    venv: Path,
    report: Report,
    *,
    trust: bool,
    sources: Sequence[PythonSource] = PYTHON_SOURCES,
) -> Path:
    """Make `venv` a relocatable environment of the lock's exact Python with exactly the lock's distributions.

    Every file is held to the hash in the lock while it is downloaded; nothing is resolved. Files are copied
    (or cloned) out of uv's cache, never hard-linked: an edited venv must not damage the next one.

    Args:
        venv: must not exist.
        trust: whether source archives and git dependencies may be built, which runs their code.

    Returns:
        The venv's interpreter. It has not been started since the first distribution came in.

    Raises:
        BadInput: ``python-not-found``, ``pylock-unreadable``.
        Blocked: ``needs-trust`` when something must be built and `trust` is not given.
        CapsuleError: ``not-carried`` for local distributions, ``python-failed`` with uv's own words,
            ``python-differs`` when something else is installed than the lock says.
    """
    locked = read_pylock(pylock_text)
    refuse_python(lock, locked, trust=trust)
    base = find_python(lock.platform.python, lock.platform.implementation, sources)
    wanted = locked.versions()
    report(Progress(phase="python", item=f"Python {lock.platform.python}", total=len(wanted)))
    run([find_uv(), "venv", "--quiet", "--relocatable", "--no-project", "--python", base, venv])
    python = venv_python(venv)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "pylock.toml")  # uv insists on the name
        file.write_text(_installable(locked, base))
        _sync(file, venv, report, len(wanted), build=trust)
    _compare(wanted, venv)
    report(Progress(phase="python", done=len(wanted), total=len(wanted)))
    return python


def refuse_python(lock: Lock, locked: LockedPython, *, trust: bool) -> None:
    """Say before anything is made why this environment cannot be: see `install_python`."""
    local = [item.subject for item in lock.findings if item.code == "local-distribution"]
    if local:
        raise CapsuleError(
            "not-carried",
            f"The capsule does not carry the bytes of {', '.join(local)}, installed from a local path.",
            "Install it from an index or from a commit of a git remote, and export again.",
        )
    if locked.builds and not trust:
        raise Blocked(
            "needs-trust",
            f"{', '.join(locked.builds)} must be built from source, which runs code that the capsule names.",
            "Look at where it comes from, then say yes with --trust.",
        )


def venv_python(venv: Path) -> Path:
    """The interpreter inside `venv`."""
    return venv / "Scripts/python.exe" if sys.platform == "win32" else venv / "bin/python"


def site_packages(venv: Path) -> Path:
    """The folder inside `venv` that distributions go into."""
    return next(iter([*venv.glob("lib/python*/site-packages"), *venv.glob("Lib/site-packages")]))


def installed_versions(venv: Path) -> dict[str, str]:
    """``{normalized name: version}`` of what `venv` holds; read from disk, nothing is started."""
    found = metadata.distributions(path=[str(site_packages(venv))])
    return {canonicalize_name(item.metadata["Name"]): item.version for item in found}


def _builds(packages: Sequence[Package]) -> list[str]:
    built = []
    for item in packages:
        archive = item.archive and not str(item.archive.url or item.archive.path or "").endswith(".whl")
        if item.vcs or item.directory or archive or (item.sdist and not item.wheels):
            built.append(str(item.name))
    return built


def _installable(locked: LockedPython, base: Path) -> str:
    """The lock as uv takes it: the unproved pins get the files that the index has today."""
    packages = list(locked.pylock.packages)
    if locked.unproved:
        # With the base interpreter: the venv's would run the `.pth` files of what is installed.
        with tempfile.TemporaryDirectory() as scratch:
            pins, found = Path(scratch, "pins.txt"), Path(scratch, "pylock.toml")
            pins.write_text("\n".join(locked.unproved) + "\n")
            words = ["--no-deps", "--no-build", "--quiet", "--no-header", "--format", "pylock.toml"]
            try:
                run([find_uv(), "pip", "compile", *words, "--python", base, "-o", found, pins])
            except CapsuleError as error:
                raise _failed(error) from error
            packages += Pylock.from_dict(tomllib.loads(found.read_text())).packages
    whole = Pylock(
        lock_version=locked.pylock.lock_version,
        created_by=locked.pylock.created_by,
        requires_python=locked.pylock.requires_python,
        packages=packages,
    )
    return tomlkit.dumps(whole.to_dict())


def _sync(file: Path, venv: Path, report: Report, total: int, *, build: bool) -> None:
    folder = site_packages(venv)

    def tick(said: str) -> None:
        done = sum(entry.name.endswith(".dist-info") for entry in os.scandir(folder))
        names = _DOWNLOADING.findall(said)
        item = "installing" if "Prepared" in said or not names else names[-1]
        report(Progress(phase="python", item=item, done=min(done, total), total=total))

    words = ["--preview-features", "pylock", "--link-mode", _link_mode(venv)]
    if not build:
        words.append("--no-build")
    try:
        watch([find_uv(), "pip", "sync", *words, "--python", venv_python(venv), file], tick)
    except CapsuleError as error:
        raise _failed(error) from error


def _failed(error: CapsuleError) -> CapsuleError:
    if error.code != "command-failed":
        return error
    reason = error.message.partition(": ")[2]
    return CapsuleError(
        "python-failed",
        f"uv could not install the Python environment: {reason}",
        "Check the network and your index settings; a hash mismatch means that a file was replaced there.",
    )


def _link_mode(venv: Path) -> str:
    """``clone`` where the file system shares blocks, else ``copy``: uv's own fallback would be hard links."""
    if sys.platform == "darwin":
        return "clone"
    if not sys.platform.startswith("linux"):
        return "copy"
    import fcntl

    cache = Path(run([find_uv(), "cache", "dir"]).strip())
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache) as source, tempfile.TemporaryFile(dir=venv) as target:
        source.write(bytes(8192))
        source.flush()
        try:
            fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())  # FICLONE, linux/fs.h
        except OSError:
            return "copy"
    return "clone"


def _compare(wanted: dict[str, str], venv: Path) -> None:
    found = installed_versions(venv)
    wrong = [f"{name} {version} is missing" for name, version in wanted.items() if name not in found]
    wrong += [f"{name} {found[name]} is too many" for name in found if name not in wanted]
    for name in wanted.keys() & found.keys():
        if wanted[name] and _version(wanted[name]) != _version(found[name]):
            wrong.append(f"{name} is {found[name]}, not {wanted[name]}")
    if wrong:
        message = f"The installed environment is not the lock's: {'; '.join(sorted(wrong))}."
        cure = "Report this: the lock's files do not give what they say."
        raise CapsuleError("python-differs", message, cure)


def _version(text: str) -> Version | str:
    try:
        return Version(text)
    except InvalidVersion:
        return text


def _name(pin: str) -> str:
    return canonicalize_name(pin.partition("==")[0])
