"""The capsule's Python environment: a fresh venv with exactly what `pylock.toml` says, nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..capsule import Lock, Vendored
from ..command import run, watch
from ..errors import Blocked, CapsuleError
from ..progress import Progress, Report
from ..uv import find_uv
from .checkout import remove_tree
from .interface import PythonSource
from .interpreters import PYTHON_SOURCES, find_python
from .local_wheels import LOCAL_WHEELS, LocalWheels, forget_times, gather_wheels, note_addresses
from .overlay import lay_over, take_away
from .pylock import LockedPython, read_pylock
from .sharing import damaged, keep_apart, link_mode
from .uvlock import uv_lock

_CUSTOMIZE = ("sitecustomize", "usercustomize")
_DOWNLOADING = re.compile(r"^\s*(?:Downloading|Building|Updating) (.+)$", re.MULTILINE)


def install_python(
    lock: Lock,
    pylock_text: str,
    venv: Path,
    report: Report,
    *,
    trust: bool,
    files: Mapping[str, bytes] | None = None,
    vendored: Mapping[str, Vendored] = MappingProxyType({}),
    wheels: Sequence[Path] = (),
    sources: Sequence[PythonSource] = PYTHON_SOURCES,
) -> Path:
    """Make `venv` a relocatable environment of the lock's exact Python with exactly the lock's distributions.

    Every file is held to the hash in the lock while it is downloaded; nothing is resolved. What is shared with uv's
    cache is such that an edited venv does not damage the next one, see `sharing`.

    Args:
        venv: must not exist.
        trust: whether source archives and git dependencies may be built, which runs their code.
        files, vendored: what the capsule holds, by entry.
        wheels: folders of wheels, known by their hash; what is in them is not looked for elsewhere.

    Returns:
        The venv's interpreter. It has not been started since the first distribution came in.

    Raises:
        BadInput: ``python-not-found``, ``pylock-unreadable``, ``capsule-damaged``.
        Blocked: ``needs-trust`` when something must be built and `trust` is not given.
        CapsuleError: ``not-carried`` for local distributions, ``python-failed`` with uv's own words,
            ``python-differs`` when something else is installed than the lock says.
    """
    locked, files = read_pylock(pylock_text), files or {}
    refuse_python(lock, locked, files, trust=trust)
    base = find_python(lock.platform.python, lock.platform.implementation, sources)
    wanted = locked.versions()
    report(Progress(phase="python", item=f"Python {lock.platform.python}", total=len(wanted)))
    run([find_uv(), "venv", "--quiet", "--relocatable", "--no-project", "--python", base, venv])
    # Vendored wheels may be gigabytes: where the environment goes there is room for them, in /tmp perhaps not.
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=venv.parent if vendored else None) as scratch:
        at_hand = gather_wheels(locked, files, Path(scratch, "wheels"), wheels, vendored)
        rest = locked.without(at_hand.names)
        try:
            if rest.versions():
                _install_rest(rest, base, venv, Path(scratch), report, trust=trust)
            if at_hand.names:
                _install_local(at_hand, venv, Path(scratch), report, len(wanted))
                forget_times(site_packages(venv))
                note_addresses(locked, at_hand.names, site_packages(venv))
        except CapsuleError as error:
            raise _failed(error) from error
    _compare(wanted, venv)
    site, scripts = site_packages(venv).relative_to(venv).as_posix(), venv_python(venv).parent.name
    lay_over(locked, files, venv, site, scripts)
    take_away(locked, venv, site, scripts)
    report(Progress(phase="python", done=len(wanted), total=len(wanted)))
    return venv_python(venv)


def refuse_python(lock: Lock, locked: LockedPython, files: Mapping[str, bytes], *, trust: bool) -> None:
    """Say before anything is made why this environment cannot be: see `install_python`."""
    refuse_not_carried(lock, locked, files)
    if locked.builds and not trust:
        raise Blocked(
            "needs-trust",
            f"{', '.join(locked.builds)} must be built from source, which runs code that the capsule names.",
            "Look at where it comes from, then say yes with --trust.",
        )


def refuse_not_carried(lock: Lock, locked: LockedPython, files: Mapping[str, bytes]) -> None:
    """Refuse an environment with files that no other place has, nor the capsule: CapsuleError ``not-carried``."""
    local = [item.subject for item in lock.findings if item.code == "local-distribution" and item.blocks]
    if local:
        raise CapsuleError(
            "not-carried",
            f"The capsule does not carry the bytes of {', '.join(local)}, installed from a local path.",
            "Install it from an index or from a commit of a git remote, and export again.",
        )
    missing = sorted(entry for entry in locked.carried() if entry not in files)
    if missing:
        raise CapsuleError(
            "not-carried",
            f"The capsule does not carry {', '.join(missing[:3])}, which its Python environment needs.",
            "Install what it belongs to from an index, and export again.",
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


def _install_rest(locked: LockedPython, base: Path, venv: Path, scratch: Path, report: Report, *, trust: bool) -> None:
    """Install what is not at hand, from where the lock says that it is."""
    file = scratch / "pylock.toml"  # uv insists on the name
    given = uv_lock(locked, base)
    file.write_text(given.text)
    words = ["sync", "--preview-features", "pylock", *given.arguments, *([] if trust else ["--no-build"])]
    words += ["--link-mode", (mode := link_mode(venv))]
    total = len(locked.versions())
    _uv_pip([*words, file], venv, report, total)
    if mode == "hardlink" and (edited := _own(venv, report)):
        report(Progress(phase="python", item=f"{', '.join(edited)} again: changed in uv's cache", total=total))
        run([find_uv(), "cache", "clean", "--quiet", *edited])
        words += [word for name in edited for word in ("--reinstall-package", name)]
        _uv_pip([*words, file], venv, report, total)
        if edited := _own(venv, report):
            message = f"What uv installs of {', '.join(edited)} is not as its RECORD says."
            raise CapsuleError("python-differs", message, "Look at the disk, and at where its wheels come from.")


def _own(venv: Path, report: Report) -> list[str]:
    """Leave `venv` nothing that an edit would carry into the next; returns the distributions that such a one was of."""
    return damaged(site_packages(venv), keep_apart(venv), report)


def _install_local(at_hand: LocalWheels, venv: Path, scratch: Path, report: Report, total: int) -> None:
    file = scratch / "wheels.txt"
    file.write_text(at_hand.requirements)
    words: list[str | Path] = ["install", *LOCAL_WHEELS, "--offline", "--link-mode", "copy"]
    with _asleep(site_packages(venv)):
        _uv_pip([*words, "--find-links", scratch / "wheels", "-r", file], venv, report, total)


@contextmanager
def _asleep(site: Path) -> Iterator[None]:
    """In this block nothing in `site` runs when the venv's interpreter starts, which uv does to ask what it is.

    Python's ``site`` obeys ``.pth`` files and imports two modules by their names; uv cannot tell it not to.
    """
    awake = [path for path in site.iterdir() if path.suffix == ".pth" or path.name.partition(".")[0] in _CUSTOMIZE]
    held = [(path, path.rename(f"{path}.held")) for path in awake]
    try:
        yield
    finally:
        for path, aside in held:
            if not path.exists():  # else what was installed now has one too, and lies over it
                aside.rename(path)
            elif aside.is_dir():
                remove_tree(aside)
            else:
                aside.unlink()


def _uv_pip(words: Sequence[str | Path], venv: Path, report: Report, total: int) -> None:
    folder = site_packages(venv)

    def tick(said: str) -> None:
        done = sum(entry.name.endswith(".dist-info") for entry in os.scandir(folder))
        names = _DOWNLOADING.findall(said)
        item = "installing" if "Prepared" in said or not names else names[-1]
        report(Progress(phase="python", item=item, done=min(done, total), total=total))

    watch([find_uv(), "pip", *words, "--python", venv_python(venv)], tick)


def _failed(error: CapsuleError) -> CapsuleError:
    if error.code != "command-failed":
        return error
    reason = error.message.partition(": ")[2]
    return CapsuleError(
        "python-failed",
        f"uv could not install the Python environment: {reason}",
        "Check the network and your index settings; a hash mismatch means that a file was replaced there.",
    )


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
