"""What goes into an image, decided before a byte is written: the small model that the Dockerfile is made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Model, System, safe_name
from ..comfy import oldest_driver
from ..errors import BadInput, CapsuleError
from ..materialise import (
    STORED_TIME,
    Packs,
    chosen_packs,
    pack_place,
    read_pylock,
    refuse_not_carried,
    stored_name,
    used_files,
    used_place,
)
from .layout import MODELS, PYTHON

#: Base images by short names. Both are slim: torch's wheels bring CUDA, and what was built is carried as wheels.
BASES = {"debian": "debian:bookworm-slim", "python": "python:{python}-slim-bookworm"}
DEFAULT_BASE = "debian"

#: Seconds since 1970 of every time in the context and the image.
EPOCH = STORED_TIME

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


#: Whether a model's file is in the image, comes with a volume, or is fetched into one before ComfyUI starts.
ModelPolicy = Literal["bake", "mount", "fetch"]


class LinkedModel(BakedModel):
    """One model whose file is in a volume: the image holds a link to its place there."""

    policy: ModelPolicy

    @property
    def target(self) -> str:
        """Where it leads: a `ModelStore` is mounted there."""
        return f"{MODELS}/{stored_name(self.sha256)}"


class ImagePlan(BaseModel):
    """Everything that the Dockerfile says of one capsule.

    Attributes:
        name: of the workflow; also of the capsule's file in the image.
        base: what ``FROM`` gets.
        python_version: in full, e.g. ``3.11.7``.
        python: ``carried``, the context's ``python/`` becomes ``/opt/python``; ``base``, the base has that version.
        packs: their places under ``custom_nodes``.
        models: those in the image; linked: those in a volume.
        files: that a run opened besides, from ComfyUI's folder on.
        packages: Debian packages that the base has or gets; a carried Python's own come on top of them.
        unproved: whether distributions without a hash are installed too (``lock/unproved.txt``).
        carried: whether wheels come out of the capsule (``lock/wheels/``).
        overlay: whether files come over the installed ones (``lock/overlay/``).
        prove: whether the build boots ComfyUI, without a network, and compares its node classes.
        oldest_driver: the NVIDIA driver that torch needs at least; empty where it needs none.
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
    linked: tuple[LinkedModel, ...] = ()
    files: tuple[str, ...] = ()
    unproved: bool
    carried: bool = False
    overlay: bool = False
    prove: bool
    oldest_driver: str = ""
    digests: dict[str, str]

    @property
    def interpreter(self) -> str:
        """The path of Python in the image."""
        return f"{PYTHON}/bin/python3" if self.python == "carried" else "/usr/local/bin/python3"

    @property
    def short_python(self) -> str:
        """``3.11`` of ``3.11.7``."""
        return ".".join(self.python_version.split(".")[:2])

    @property
    def site_packages(self) -> str:
        """Where distributions are, from the folder of an environment on."""
        return f"lib/python{self.short_python}/site-packages"


def make_plan(
    capsule: Capsule,
    *,
    base: str = "",
    packs: Packs = "used",
    prove: bool = True,
    python_in_base: bool = False,
    policies: Mapping[str, ModelPolicy] | None = None,
) -> ImagePlan:
    """What the image of `capsule` consists of.

    Args:
        python_in_base: whether ``/usr/local/bin/python3`` of the base is exactly the captured version.
        policies: of models, by their name or ``FOLDER/NAME``; ``""`` is that of the others, which are baked else.

    Raises:
        BadInput: ``image-python-too-old``, ``capsule-unsafe-name``, ``no-such-model``.
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
    how = _policies(lock.models, policies or {})
    return ImagePlan(
        name=capsule.name,
        base=base_named(base, version),
        python_version=version,
        python="base" if python_in_base else "carried",
        packs=tuple(sorted(pack_place(pack) for pack in chosen_packs(capsule, packs))),
        packages=_packages(lock.system),
        models=tuple(BakedModel(**_of(model)) for model in lock.models if how[model] == "bake"),
        linked=tuple(LinkedModel(**_of(model), policy=how[model]) for model in lock.models if how[model] != "bake"),
        files=tuple(used_place(item) for item in used_files(capsule, packs)),
        unproved=bool(locked.unproved),
        carried=any(wheel.path for item in locked.pylock.packages for wheel in item.wheels or ()),
        overlay=bool(locked.tool.changed or locked.tool.removed or locked.tool.editables),
        prove=prove,
        oldest_driver=oldest_driver(lock.platform.torch),
        digests={"capsule": digests.capsule, "contract": digests.contract, "environment": digests.environment},
    )


def base_named(base: str, python_version: str) -> str:
    """The base image that `base` means: one of `BASES` by its short name, `DEFAULT_BASE` when empty, or any other."""
    name = base or DEFAULT_BASE
    return BASES.get(name, name).replace("{python}", python_version)


def _of(model: Model) -> dict[str, str]:
    return {"folder": model.folder, "name": model.name, "sha256": model.sha256}


def _policies(models: Sequence[Model], said: Mapping[str, ModelPolicy]) -> dict[Model, ModelPolicy]:
    names = {model: (f"{model.folder}/{model.name}", model.name, model.name.rpartition("/")[2]) for model in models}
    for name in said:
        if name and not any(name in known for known in names.values()):
            have = ", ".join(known[0] for known in names.values()) or "none"
            raise BadInput("no-such-model", f"The capsule has no model {name!r}; it has: {have}.")
    rest = said.get("", "bake")
    return {model: next((said[name] for name in known if name in said), rest) for model, known in names.items()}


def _packages(system: System) -> tuple[str, ...]:
    for name in system.packages:
        if not _PACKAGE_NAME.fullmatch(name):
            message = f"The capsule names the OS package {name!r}, which is no name of a Debian package."
            raise BadInput("capsule-unsafe-name", message, "Do not trust this capsule.")
    return tuple(sorted(OWN_PACKAGES.union(system.packages)))
