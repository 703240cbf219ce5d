"""What a container engine must be able to do for us; `docker` is the one implementation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from ..progress import Report


class EngineInfo(BaseModel):
    """An engine that answers.

    Attributes:
        arch: as images name it, ``amd64`` or ``arm64``.
        containerd_store: whether images are kept in containerd's store, where every layer is packed and unpacked.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    arch: str
    containerd_store: bool


class BuildRequest(BaseModel):
    """One build. `secrets` are ``{id: file}``; they reach single steps and no layer."""

    model_config = ConfigDict(frozen=True)

    context: Path
    tag: str
    arguments: dict[str, str] = {}
    secrets: dict[str, Path] = {}


class ImageInfo(BaseModel):
    """An image in the engine. `references` name it by digest, where a registry or the engine's store gives one."""

    model_config = ConfigDict(frozen=True)

    id: str
    size_bytes: int
    labels: dict[str, str]
    references: tuple[str, ...]


class ContainerEngine(Protocol):
    """A place where images are built and run."""

    def info(self) -> EngineInfo:
        """What this engine is.

        Raises:
            BadInput: ``no-engine``, ``no-buildx``, ``engine-too-old``.
        """
        ...

    def build(self, request: BuildRequest, report: Report) -> None:
        """Build the context and load the image under its tag. A cancelled or failed build leaves no tag.

        Raises:
            CapsuleError: ``build-failed``, naming the step and the end of what it said; ``proof-failed``.
        """
        ...

    def inspect(self, image: str) -> ImageInfo | None:
        """The image of that name or id, or None when the engine does not have it."""
        ...

    def run(self, image: str, argv: Sequence[str]) -> str:
        """What `argv` prints in a container of `image`, without a network, which is removed afterwards.

        Raises:
            CapsuleError: ``container-failed``.
        """
        ...
