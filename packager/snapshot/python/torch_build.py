"""A lock with another build of torch than the captured one; what changes with it is said by name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.pylock import Package, Pylock

from ...capsule import Finding
from ...errors import BadInput
from .index import TORCH_BUILD, Indexes, Offer
from .retarget import Retargeted, Target, lock_text, locked_package, offered_version, records_of

FAMILY = ("torch", "torchvision", "torchaudio")

# What torch's wheels for Linux have required of CUDA and its compilers, release by release.
_CUDA = "cublas|cudnn|cufft|cufile|curand|cusolver|cusparse|cusparselt|nccl|nvjitlink|nvshmem|nvtx|cuda-[a-z-]+"
_OF_A_BUILD = re.compile(rf"nvidia-({_CUDA})(-cu\d+)?|cuda-(bindings|pathfinder|toolkit)|(pytorch-)?triton(-[a-z]+)?")


def with_torch(pylock: str, build: str, machine: str, python_version: str, python: Path) -> Retargeted:
    """The text of a `pylock.toml` for Linux, in which torch and its family are of `build`.

    They keep their versions. What the other build needs is added; what the captured one needs of CUDA is left out,
    unless another distribution needs it too. They are looked for on the user's indexes, then where uv knows torch's
    builds to be.

    Args:
        build: as uv names it, ``cpu``, ``cu130``, ``rocm6.4``.
        machine: ``x86_64`` or ``aarch64``. `python_version`: in full.
        python: any interpreter of this machine, for uv.

    Raises:
        BadInput: ``no-torch`` when the lock has none; ``no-torch-build`` when no index has that build of its version,
            or `build` is none.
    """
    if not TORCH_BUILD.fullmatch(build):
        raise BadInput("no-torch-build", f"{build!r} is no build of torch.", "Say cpu, or cu130 and the like.")
    lock, target, indexes = Pylock.from_dict(tomllib.loads(pylock)), Target(machine, python_version), Indexes(python)
    family = [item for item in lock.packages if item.name in FAMILY]
    if not family:
        raise BadInput("no-torch", "The capsule has no torch, so there is none to take in another build.")
    pins = {str(item.name): f"{item.name}=={str(item.version).partition('+')[0]}+{build}" for item in family}
    needed = indexes.ask_for_torch(list(pins.values()), build, target.platform, python_version)
    best = {name: target.best(offers) for name, offers in needed.items()}
    missing = [pin for name, pin in pins.items() if best.get(name) is None]
    if missing:
        raise BadInput(
            "no-torch-build",
            f"No index that uv reaches from here has {', '.join(missing)} for Linux on {machine}.",
            "Name one that has it in UV_INDEX, or take another build.",
        )
    replaced = [_package(name, best[name]) for name in pins]
    there = {str(item.name) for item in lock.packages}
    added = [_package(name, offer) for name, offer in sorted(best.items()) if name not in there and offer is not None]
    of_a_build = {name for name in there - best.keys() if _OF_A_BUILD.fullmatch(name)}
    others = [f"{item.name}=={item.version}" for item in lock.packages if item.name not in {*of_a_build, *pins}]
    whole = indexes.ask_for_torch([*pins.values(), *others], build, target.platform, python_version)
    gone = of_a_build - whole.keys()  # where they do not go together, nothing is known of the others' needs
    kept = [item for item in lock.packages if item.name not in gone and item.name not in pins]
    packages = [*kept, *replaced, *added]
    unproved = [str(pin) for pin in (lock.tool or {}).get("comfy-capsule", {}).get("unproved", [])]
    records = records_of([*replaced, *added], indexes, target)
    text = lock_text(lock, packages, target, unproved, records, f"With torch for {build}, which was not captured.")
    was = {str(item.name): item.version for item in lock.packages}
    said = [f"{item.name} {was[str(item.name)]} is {item.version} there" for item in replaced]
    said += [f"{item.name} {item.version} is added" for item in added]
    said += [f"{name} {was[name]} is left out" for name in sorted(gone)]
    return Retargeted(text=text, findings=tuple(_finding(build, each) for each in said))


def _package(name: str, offer: Offer | None) -> Package:
    assert offer is not None
    return locked_package(name, str(offered_version(offer)), offer)


def _finding(build: str, what: str) -> Finding:
    return Finding(
        code="torch-build-changed",
        subject=what.partition(" ")[0],
        message=f"With torch for {build}, {what}.",
        cure="Build without --torch for the captured one.",
    )
