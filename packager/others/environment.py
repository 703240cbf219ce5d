"""The Python of another tool's file: its pins out of the user's own indexes, each file held to its hash there."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit
from packaging.pylock import Package, Pylock
from packaging.utils import canonicalize_name
from packaging.version import Version

from ..capsule import ComfyUI, Finding, Lock, Platform
from ..command import run
from ..errors import BadInput, CapsuleError
from ..materialise import find_python, install_python, venv_python
from ..progress import Progress, Report
from ..snapshot import Indexes, Offers
from ..uv import find_uv
from .findings import assumed, overruled, pin_not_had, resolved_today
from .models import Pin

# uv fetches repositories by itself: without hooks of the user's, and no submodule is a folder of this machine.
_GIT: Mapping[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "git:http:https:ssh",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.hooksPath",
    "GIT_CONFIG_VALUE_0": os.devnull,
}
_LIMIT = 3600  # seconds for one that is built
_TOOLS = ("pip", "setuptools")  # what pip freeze leaves out


def python_version(said: str, wanted: str = "") -> tuple[str, tuple[Finding, ...]]:
    """The full version of the Python to use, and what was assumed.

    Args:
        said: by the file: in full, ``3.11``, or nothing.
        wanted: by the user, in full; it goes before what the file says.
    """
    if wanted:
        return wanted, () if said and wanted.startswith(f"{said}.") else overruled("Python", said, wanted)
    if said.count(".") == 2:
        return said, ()
    found = _newest(said)
    told = f"Python {said}, not which one" if said else "no version of Python"
    cure = "Name another one with --python-version 3.12.7."
    return found, (assumed("Python", f"The file says {told}; {found} is taken.", cure),)


def _newest(minor: str) -> str:
    """This Python's version if it is of `minor`, else the newest of it on this machine, else of those that uv has."""
    own = platform.python_version()
    if not minor or own.startswith(f"{minor}."):
        return own
    for words in (("--only-installed",), ()):
        listed = json.loads(run([find_uv(), "python", "list", "--output-format", "json", *words, minor]) or "[]")
        found = [str(each["version"]) for each in listed if each.get("implementation") == "cpython"]
        if found := [each for each in found if each.startswith(f"{minor}.") and each.rpartition(".")[2].isdigit()]:
            return max(found, key=Version)
    raise BadInput("python-not-found", f"There is no Python {minor} to be had.", "Name one with --python-version.")


def lock_for(version: str) -> Lock:
    """A lock of nothing but this machine and Python `version`."""
    here = Platform(os=platform.system().lower(), arch=platform.machine(), python=version)
    return Lock(name="import", platform=here, comfyui=ComfyUI(version="", kind="git"))


def make_environment(
    pins: Sequence[Pin], version: str, venv: Path, report: Report, *, trust: bool
) -> tuple[Finding, ...]:
    """Make `venv` an environment of Python `version` with exactly `pins`; nothing else is resolved.

    Args:
        trust: whether what comes as source may be built, which runs its code.

    Returns:
        What was looked up, and each pin that could not be had; it is not there then.

    Raises:
        BadInput: ``python-not-found``.
        CapsuleError: ``index-unreachable``; ``python-failed``, as `install_python`.
    """
    lock = lock_for(version)
    base = find_python(version, lock.platform.implementation)
    report(Progress(phase="resolve", item=f"{len(pins)} distributions", total=1))
    packages, findings, built = _resolve(pins, Indexes(base))
    addressed: list[Package] = []
    for pin in (pin for pin in pins if pin.url):
        made = _at_address(pin, base) if _is_wheel(pin) else pin
        if isinstance(made, Package):
            addressed.append(made)
            findings.append(resolved_today(pin.name, f"{pin.line} is what is at that address today."))
        else:
            findings.append(made) if isinstance(made, Finding) else built.append(made)
    report(Progress(phase="resolve", done=1, total=1))
    # All wheels at once: a venv with anything in it is started by uv, which runs the .pth files in it.
    install_python(lock, _pylock([*packages, *addressed], version), venv, report, trust=False)
    findings += _build_each(built, venv, report, trust=trust)
    if packages:
        message = (
            f"Of {len(packages)} distribution(s) the file says the version only; what the index has today is taken."
        )
        findings.append(resolved_today("Python", message))
    gone = [name for name in _TOOLS if name not in {pin.name for pin in pins}]
    if gone:
        message = (
            f"The file does not name {' and '.join(gone)}, which pip freeze may leave out; they are not installed."
        )
        findings.append(assumed("pip freeze", message, "If a pack needs one, install it in the ComfyUI, and export."))
    return tuple(findings)


def _resolve(pins: Sequence[Pin], indexes: Indexes) -> tuple[list[Package], list[Finding], list[Pin]]:
    """The pins with wheels for this machine, what is to be said of others, and those that come as source only."""
    wanted = {pin.name: pin for pin in pins if not pin.url}
    first = indexes.ask([pin.line for pin in wanted.values()]) if wanted else Offers()
    if first.unreachable:
        message = f"No package index could be asked for {min(first.unreachable)}, so nothing can be resolved."
        raise CapsuleError("index-unreachable", message, "Check the network and your index settings.")
    missing = [pin.line for name, pin in wanted.items() if not first.of(name) and name not in first.without_wheels]
    further = indexes.ask_further(missing) if missing else Offers()
    packages, findings, built = [], [], []
    for name, pin in wanted.items():
        offers = first.of(name) or further.of(name)
        held = [each for each in offers if not pin.hashes or each.wheel.hashes.get("sha256") in pin.hashes]
        if held:
            index = held[0].index or None
            wheels = [each.wheel for each in held if (each.index or None) == index]
            packages.append(
                Package(name=canonicalize_name(name), version=Version(pin.version), index=index, wheels=wheels)
            )
        elif offers:
            message = f"No file that the index has of {pin.line} has a hash that the file names."
            findings.append(pin_not_had(name, message, "It was replaced there; install it from where it came from."))
        elif name in first.without_wheels | further.without_wheels:
            built.append(pin)
        else:
            message = f"No index that uv reaches from here has {pin.line} for Python on this machine."
            findings.append(pin_not_had(name, message, "Name the index that has it in UV_INDEX, and import again."))
    return packages, findings, built


def _pylock(packages: Sequence[Package], version: str) -> str:
    lock = Pylock(
        lock_version=Version("1.0"), created_by="comfy-capsule", packages=sorted(packages, key=lambda item: item.name)
    )
    lock.validate()
    return f"# Python {version}\n{tomlkit.dumps(lock.to_dict())}"


def _at_address(pin: Pin, base: Path) -> Package | Finding:
    """The wheel at the pin's address, with the hash that it has there today; or why there is none for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, found = Path(folder, "one.txt"), Path(folder, "pylock.toml")
        wanted.write_text(f"{pin.line}\n")
        words = ("--no-deps", "--no-build", "--quiet", "--no-header", "--format", "pylock.toml")
        try:
            run([find_uv(), "pip", "compile", *words, "--python", base, "-o", found, wanted], timeout=_LIMIT)
        except CapsuleError as error:
            return _failed(pin, error)
        packages = Pylock.from_dict(tomllib.loads(found.read_text(encoding="utf-8"))).packages
    archive = packages[0].archive if len(packages) == 1 else None
    if archive is None or (pin.hashes and archive.hashes.get("sha256") not in pin.hashes):
        message = f"What is at the address of {pin.line} has not the hash that the file names."
        return pin_not_had(pin.name, message, "It was replaced there; install it from where it came from.")
    return packages[0]


def _is_wheel(pin: Pin) -> bool:
    return urlsplit(pin.url).path.endswith(".whl") and not pin.url.startswith("git+")


def _build_each(pins: Sequence[Pin], venv: Path, report: Report, *, trust: bool) -> list[Finding]:
    """Install those that come as source, one at a time; without `trust`, and where that fails, they are findings."""
    findings = []
    for number, pin in enumerate(pins, 1):
        report(Progress(phase="build", item=pin.name, done=number - 1, total=len(pins)))
        if not trust:
            message = f"{pin.line} comes as source, and building it runs its code."
            findings.append(pin_not_had(pin.name, message, "Say yes to that with --trust."))
            continue
        try:
            _build(pin, venv)
        except CapsuleError as error:
            findings.append(_failed(pin, error))
        else:
            findings.append(resolved_today(pin.name, f"{pin.line} is built of what is there today."))
    return findings


def _build(pin: Pin, venv: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "one.txt")
        wanted.write_text(f"{pin.line}{''.join(f' --hash=sha256:{each}' for each in pin.hashes)}\n")
        words = ("install", "--quiet", "--no-deps", "--python")
        run([find_uv(), "pip", *words, venv_python(venv), "-r", wanted], env=_GIT, timeout=_LIMIT)


def _failed(pin: Pin, error: CapsuleError) -> Finding:
    if error.code not in ("command-failed", "command-timeout"):
        raise error
    reason = " ".join(error.message.partition(": ")[2].split())[-300:]
    message = f"{pin.line} could not be installed: … {reason}"
    return pin_not_had(pin.name, message, "Check its address, or what it needs to be built.")
