"""What goes into an image, decided before a byte is written: the small model that the Dockerfile is made from."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Pack, System, safe_name
from ..errors import BadInput, CapsuleError
from ..materialise import Packs, chosen_packs, pack_place, read_pylock, refuse_not_carried, used_files, used_place

DEFAULT_BASE = "debian:bookworm-slim"

#: Seconds since 1970 of every time in the context and the image: the earliest that a zip can say.
EPOCH = 315_532_800

PORT = 8000

# What our own steps need of the system, whatever the capsule needs: certificates for what the gateway fetches and the
# webhooks it sends, and the libraries that uv and the gateway's wheels (pillow, greenlet, uvloop) are linked to.
OWN_PACKAGES = frozenset({"ca-certificates", "libc6", "libgcc-s1", "libstdc++6", "zlib1g"})

_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian Policy 5.6.1; a name is no option of apt's

_OLDEST_PYTHON = (3, 11)  # of the gateway, which shares the captured interpreter


class BakedModel(BaseModel):
    """One model file in the image: its folder type and name as the node sees it, and its digest."""

    model_config = ConfigDict(frozen=True)

    folder: str
    name: str
    sha256: str


class BakedFile(BaseModel):
    """A further file that a run opened: where it goes, from ComfyUI's folder on, and its digest."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str


class ImagePlan(BaseModel):
    """Everything that the Dockerfile says of one capsule.

    Attributes:
        name: of the workflow; also of the capsule's file in the image.
        base: what ``FROM`` gets.
        python_version: in full, e.g. ``3.11.7``.
        python: ``carried``, the context's ``python/`` becomes ``/opt/python``; ``base``, the base has that version.
        packs: their places under ``custom_nodes``; those of folders end with ``/``.
        packages: Debian packages that the base has or gets; a carried Python's own come on top of them.
        unproved: whether distributions without a hash are installed too (``lock/unproved.txt``).
        carried: whether wheels come out of the capsule (``lock/wheels/``).
        overlay: whether files come over the installed ones (``lock/overlay/``).
        prove: whether the build boots ComfyUI, without a network, and compares its node classes.
        digests: capsule, contract and environment, for the labels.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    base: str
    python_version: str
    python: Literal["carried", "base"]
    packages: tuple[str, ...] = ()
    packs: tuple[str, ...]
    models: tuple[BakedModel, ...]
    files: tuple[BakedFile, ...] = ()
    unproved: bool
    carried: bool = False
    overlay: bool = False
    prove: bool
    digests: dict[str, str]

    @property
    def interpreter(self) -> str:
        """The path of Python in the image."""
        return "/opt/python/bin/python3" if self.python == "carried" else "/usr/local/bin/python3"

    @property
    def short_python(self) -> str:
        """``3.11`` of ``3.11.7``."""
        return ".".join(self.python_version.split(".")[:2])


def make_plan(
    capsule: Capsule, *, base: str = "", packs: Packs = "used", prove: bool = True, python_in_base: bool = False
) -> ImagePlan:
    """What the image of `capsule` consists of.

    Args:
        python_in_base: whether ``/usr/local/bin/python3`` of the base is exactly the captured version.

    Raises:
        BadInput: ``image-python-too-old``, ``capsule-unsafe-name``.
        CapsuleError: ``image-needs-build`` when a distribution has no wheel; ``not-carried`` for local ones.
    """
    lock, digests = capsule.lock, capsule.digests
    version = lock.platform.python
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_PYTHON:
        raise BadInput(
            "image-python-too-old",
            f"The capsule's Python is {version}; the gateway in the image needs 3.11 or newer.",
            "Capture the workflow in a ComfyUI with a newer Python.",
        )
    locked = read_pylock(capsule.pylock)
    if locked.builds:
        raise CapsuleError(
            "image-needs-build",
            f"{', '.join(locked.builds)} would have to be built from source; the image installs wheels only.",
            "Install it from a wheel where the capsule is made, and export again.",
        )
    refuse_not_carried(lock, locked, capsule.files)
    for model in lock.models:
        safe_name(f"{model.folder}/{model.name}")  # `..` in a COPY would reach any file of the image
    return ImagePlan(
        name=capsule.name,
        base=base or DEFAULT_BASE,
        python_version=version,
        python="base" if python_in_base else "carried",
        packs=tuple(sorted(_copied(pack) for pack in chosen_packs(capsule, packs))),
        packages=_packages(lock.system),
        models=tuple(BakedModel(folder=item.folder, name=item.name, sha256=item.sha256) for item in lock.models),
        files=tuple(BakedFile(name=used_place(item), sha256=item.sha256) for item in used_files(capsule, packs)),
        unproved=bool(locked.unproved),
        carried=any(wheel.path for item in locked.pylock.packages for wheel in item.wheels or ()),
        overlay=bool(locked.tool.changed or locked.tool.removed or locked.tool.editables),
        prove=prove,
        digests={"capsule": digests.capsule, "contract": digests.contract, "environment": digests.environment},
    )


def _copied(pack: Pack) -> str:
    return pack_place(pack) + ("" if pack.kind == "file" else "/")


def _packages(system: System) -> tuple[str, ...]:
    for name in system.packages:
        if not _PACKAGE_NAME.fullmatch(name):
            message = f"The capsule names the OS package {name!r}, which is no name of a Debian package."
            raise BadInput("capsule-unsafe-name", message, "Do not trust this capsule.")
    return tuple(sorted(OWN_PACKAGES.union(system.packages)))
