"""What a sealed capsule holds of its origins, and what cannot be put into it: decided from the capsule alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal

from packaging.pylock import Package, PackageWheel
from pydantic import BaseModel, ConfigDict

from ..capsule import VENDOR, Capsule, Checkout, Finding, Lock, Model, bundle_entry, safe_name
from ..errors import BadInput
from ..materialise import LockedPython, as_model, locked_wheels, read_pylock, used_files

#: ``code``: ComfyUI, packs and Python; ``all``: the models, too.
What = Literal["code", "all"]

NOT_VENDORED = "not-vendored"
WHEELS = f"{VENDOR}wheels/"
_MODELS = f"{VENDOR}models/"


class WantedCommit(BaseModel):
    """One checkout: `subject` is what errors call it."""

    model_config = ConfigDict(frozen=True)

    subject: str
    checkout: Checkout

    @property
    def entry(self) -> str:
        """The entry with its bundle."""
        return bundle_entry(self.checkout.commit)


class WantedWheel(BaseModel):
    """One wheel. `size` is in bytes, 0 where no lock says it; `url` is without credentials."""

    model_config = ConfigDict(frozen=True)

    entry: str
    name: str
    url: str
    size: int
    sha256: str


class WantedPin(BaseModel):
    """One ``name==version`` of which the lock of `platform`, ``linux-x86_64``, knows no file."""

    model_config = ConfigDict(frozen=True)

    pin: str
    platform: str


class Contents(BaseModel):
    """What goes into a sealed capsule, each thing once; `findings` say what cannot."""

    model_config = ConfigDict(frozen=True)

    commits: tuple[WantedCommit, ...]
    wheels: tuple[WantedWheel, ...]
    pins: tuple[WantedPin, ...]
    models: tuple[Model, ...]
    findings: tuple[Finding, ...]


def contents_of(capsule: Capsule, what: What, platforms: Sequence[str] = ()) -> Contents:
    """What sealing `capsule` puts into it.

    Args:
        platforms: further ones whose wheels are wanted, ``linux-aarch64``; the captured one's always are.

    Raises:
        BadInput: ``platform-differs`` when the capsule has no Python lock for one of `platforms`.
    """
    said = capsule.lock.platform
    own = {f"{said.os}-{said.arch}": read_pylock(capsule.pylock)}
    locks = own | {platform: _translated(capsule, platform) for platform in platforms if platform not in own}
    wheels, findings = _wheels(locks.values())
    pins = {pin: WantedPin(pin=pin, platform=name) for name, lock in reversed(locks.items()) for pin in lock.unproved}
    large = [as_model(item) for item in used_files(capsule, "all") if not item.carried]
    models = {model.sha256: model for model in (*capsule.lock.models, *large)} if what == "all" else {}
    return Contents(
        commits=tuple({item.checkout.commit: item for item in _commits(capsule.lock)}.values()),
        wheels=tuple(wheels),
        pins=tuple(pins.values()),
        models=tuple(models.values()),
        findings=tuple(findings),
    )


def model_entry(model: Model) -> str:
    """The entry with the bytes of `model`."""
    return f"{_MODELS}{model.sha256}"


def not_vendored(subject: str, message: str, cure: str) -> Finding:
    """The finding about what a sealed capsule lacks; that it can be had elsewhere is no matter of this one."""
    return Finding(code="not-vendored", subject=subject, message=message, cure=cure)


def _translated(capsule: Capsule, platform: str) -> LockedPython:
    said = capsule.lock.platform
    text = capsule.files.get(f"pylock.{platform}.toml")
    if text is None:
        raise BadInput(
            "platform-differs",
            f"The capsule was captured on {said.os} {said.arch} and has no Python lock for {platform}.",
            "A snapshot on Windows or macOS brings locks for Linux; other platforms have none.",
        )
    return read_pylock(text.decode("utf-8", "replace"))


def _commits(lock: Lock) -> Iterator[WantedCommit]:
    """The checkouts whose commit the capsule does not carry already."""
    sources = [("ComfyUI", lock.comfyui), *((f"the pack {pack.name!r}", pack) for pack in lock.packs)]
    for subject, source in sources:
        if source.kind != "git":
            continue  # its bytes are carried
        every: list[tuple[str, Checkout]] = [(subject, source)]
        every += [(f"{inner.path} in {subject}", inner) for inner in source.submodules]
        for name, said in every:
            if said.origin and said.commit and not said.bundle:
                plain = Checkout(origin=said.origin, commit=said.commit)
                yield WantedCommit(subject=name, checkout=plain)


def _wheels(locks: Iterable[LockedPython]) -> tuple[list[WantedWheel], list[Finding]]:
    found: dict[str, WantedWheel] = {}
    findings: dict[str, Finding] = {}
    names: set[str] = set()
    for lock in locks:
        for item in lock.pylock.packages:
            wheels = [wheel for wheel in locked_wheels(item) if wheel.path or (wheel.url and "sha256" in wheel.hashes)]
            if not wheels:
                findings.setdefault(str(item.name), _without_wheel(item))
            for wheel in (wheel for wheel in wheels if not wheel.path):
                made = wanted_wheel(wheel, names)
                if made.sha256 not in found:
                    found[made.sha256] = made
                    names.add(made.entry)
    return list(found.values()), list(findings.values())


def wanted_wheel(wheel: PackageWheel, taken: Collection[str]) -> WantedWheel:
    """`wheel`, under an entry that is not `taken`.

    Two indexes may have different files under one name: the second gets a folder of its own.
    """
    digest, name = wheel.hashes["sha256"], wheel.filename
    entry = f"{WHEELS}{name}"
    if entry in taken:
        entry = f"{WHEELS}{digest[:12]}/{name}"
    return WantedWheel(entry=safe_name(entry), name=name, url=str(wheel.url), size=wheel.size or 0, sha256=digest)


def _without_wheel(item: Package) -> Finding:
    name = f"{item.name} {item.version or ''}".strip()
    message = f"{name} is built from source where it is installed, which needs the network for its build tools."
    return not_vendored(str(item.name), message, "Install it from a wheel where the capsule is made, and export again.")
