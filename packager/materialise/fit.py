"""Which of a capsule's Python locks a machine gets: the captured one, or the one translated for that Linux."""

from __future__ import annotations

import platform
from dataclasses import replace

from packaging.pylock import Package
from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Finding
from ..errors import BadInput
from .pylock import read_pylock

# One architecture has several names: those of Windows, of macOS and of container engines.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Translation(BaseModel):
    """How the lock for another platform than the captured one differs: names of distributions, sorted.

    Attributes:
        what: the two platforms, in words.
        other: those that come from another file; added: those that only this platform needs; without: those that it
            has no file of.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    other: tuple[str, ...]
    added: tuple[str, ...]
    without: tuple[str, ...]


def fitted(capsule: Capsule, system: str = "", machine: str = "") -> Capsule:
    """`capsule` as it is on `system` (``linux``) and `machine`, this one's where they are not said.

    It is `capsule` itself where it was captured on such a machine. Else the translated lock takes the place of the
    captured one, and the platform is the machine's: the environment digest is then that of what will be there, while
    contract and capsule digest stay.

    Raises:
        BadInput: ``platform-differs`` when nothing in the capsule fits there.
    """
    said = capsule.lock.platform
    system, machine = system or platform.system().lower(), _machine(machine or platform.machine())
    if (said.os, _machine(said.arch)) == (system, machine):
        return capsule
    translated = capsule.files.get(f"pylock.{system}-{machine}.toml")
    if translated is None:
        raise BadInput(
            "platform-differs",
            f"The capsule was captured on {said.os} {said.arch} and has no Python lock for {system} {machine}.",
            "Use a machine of that kind. A snapshot on Windows or macOS brings locks for Linux: export it there again.",
        )
    # torch's own word on its version holds for the captured build alone.
    here = said.model_copy(update={"os": system, "arch": machine, "torch": ""})
    return replace(
        capsule,
        lock=capsule.lock.model_copy(update={"platform": here}),
        pylock=translated.decode("utf-8", "replace"),
        sealed=capsule.digests.capsule,
    )


def translation(capsule: Capsule, fit: Capsule) -> Translation | None:
    """What `fitted` made another of in `fit`; None where that is `capsule` itself.

    Raises:
        BadInput: ``pylock-unreadable``.
    """
    if fit is capsule:
        return None
    before, after = read_pylock(capsule.pylock), read_pylock(fit.pylock)
    was, now = before.versions(), after.versions()
    files, others = ({str(item.name): _files(item) for item in one.pylock.packages} for one in (before, after))
    (old, new) = (f"{one.lock.platform.os} {one.lock.platform.arch}" for one in (capsule, fit))
    return Translation(
        what=f"translated from {old} for {new}",
        other=tuple(sorted(name for name in was.keys() & now.keys() if files.get(name) != others.get(name))),
        added=tuple(sorted(now.keys() - was.keys())),
        without=tuple(sorted(was.keys() - now.keys())),
    )


class Derived(BaseModel):
    """What is installed in place of a capsule's own Python lock: its text, torch's version there, and what differs."""

    model_config = ConfigDict(frozen=True)

    pylock: str
    torch: str
    findings: tuple[Finding, ...]


def derived(capsule: Capsule, said: Derived) -> Capsule:
    """`capsule`, a fitted one, with the lock of `said`; its contract and its own digest stay."""
    platform = capsule.lock.platform.model_copy(update={"torch": said.torch})
    lock = capsule.lock.model_copy(update={"platform": platform, "findings": said.findings})
    return replace(capsule, lock=lock, pylock=said.pylock, sealed=capsule.digests.capsule)


def lock_platform(text: str) -> str:
    """``linux-aarch64`` of ``linux/arm64``: how the lock for a platform is named. Raises BadInput ``bad-platform``."""
    system, slash, machine = text.lower().partition("/")
    if not (slash and system.isalpha() and machine.replace("_", "").isalnum()):
        raise BadInput("bad-platform", f"{text!r} is no platform.", "Say it as linux/amd64, or linux/arm64.")
    return f"{system}-{_machine(machine)}"


def _machine(name: str) -> str:
    return _MACHINES.get(name.lower(), name)


def _files(item: Package) -> list[str]:
    """What holds `item` to its bytes."""
    if item.vcs is not None:
        return [item.vcs.commit_id]
    return sorted(file.hashes.get("sha256", "") for file in (*(item.wheels or ()), item.archive) if file is not None)
