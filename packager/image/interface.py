"""What a container engine must be able to do for us; `docker` and `podman` are the implementations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ..progress import Report


class EngineInfo(BaseModel):
    """An engine that answers.

    Attributes:
        arch: as images name it, ``amd64`` or ``arm64``.
        containerd_store: whether images are kept in containerd's store, where every layer is packed and unpacked.
        same_ids: whether the same layers and settings are one image, with one id.
        free_bytes: of the disk with its data; None where that is on another machine.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    arch: str
    containerd_store: bool
    same_ids: bool = True
    free_bytes: int | None = None


class BuildRequest(BaseModel):
    """One build. `secrets` are ``{id: file}``; they reach single steps and no layer.

    Attributes:
        no_cache: whether every step is run anew.
        log: a file for all that the steps print; what it held is lost.
        platform: ``linux/arm64``, say; the engine's own when empty.
    """

    model_config = ConfigDict(frozen=True)

    context: Path
    tag: str
    arguments: dict[str, str] = {}
    secrets: dict[str, Path] = {}
    no_cache: bool = False
    log: Path | None = None
    platform: str = ""


class StartRequest(BaseModel):
    """A container that serves, hardened: no capability, nothing but its volume to write to.

    Attributes:
        address, port: of this host, where it is reached; port 0 for any free one.
        volume: of the engine, mounted at ``/state``; it stays when the container goes.
        models: a volume of the engine, or a folder of its host, mounted at ``/models``; empty for none.
        files: ``{name: bytes}``, written into the volume for the container's user alone, before it starts.
        environment: for its process. Everybody who may ask the engine sees it: it holds no secret.
        gpus: whether it gets this host's GPUs; None: where the engine can give them.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    address: str
    port: int
    volume: str
    models: str = ""
    files: dict[str, bytes] = Field(default={}, repr=False)
    environment: dict[str, str] = {}
    gpus: bool | None = None


class ContainerInfo(BaseModel):
    """A container. `state`: ``starting``, ``healthy``, ``unhealthy`` or ``ended``; `url` is where it is reached."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: Literal["starting", "healthy", "unhealthy", "ended"]
    url: str


class ImageInfo(BaseModel):
    """An image in the engine. `references` name it by digest, where a registry or the engine's store gives one.

    Attributes:
        arch: as images name it.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    size_bytes: int
    labels: dict[str, str]
    references: tuple[str, ...]
    arch: str


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

    def pull(self, image: str, report: Report, *, platform: str) -> None:
        """Have `image` from its registry, that for `platform`.

        Raises:
            BadInput: ``no-base``.
        """
        ...

    def push(self, image: str, report: Report) -> str:
        """Send `image` to the registry that its name begins with; the digest by which that knows it.

        Raises:
            CapsuleError: ``push-failed``.
        """
        ...

    def join(self, tag: str, references: Sequence[str]) -> str:
        """Put pushed images, by their digests, under one tag in their registry; the digest of the index.

        Raises:
            CapsuleError: ``push-failed``.
        """
        ...

    def run(self, image: str, argv: Sequence[str], *, gpus: bool = False) -> str:
        """What `argv` prints in a container of `image`, without a network, which is removed afterwards.

        Args:
            gpus: whether it sees this host's GPUs.

        Raises:
            CapsuleError: ``container-failed``.
        """
        ...

    def start(self, request: StartRequest) -> ContainerInfo:
        """Start a container and return at once.

        Raises:
            CapsuleError: ``container-failed``, also where the port is taken, or GPUs are asked for and not to be had.
        """
        ...

    def look(self, container: str) -> ContainerInfo:
        """How the container of that id is."""
        ...

    def log(self, container: str, *, follow: bool) -> Iterator[str]:
        """The lines that it has printed; with `follow` also those to come, until it ends."""
        ...

    def stop(self, container: str, grace: float) -> None:
        """Ask it to end, end it after `grace` seconds, and remove it; not its volume."""
        ...
