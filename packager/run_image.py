"""An image, started the short way: hardened, with a volume of its own, a fresh key, and GPUs where there are some."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field

from .errors import BadInput, CapsuleError
from .image import LABEL, TITLE_LABEL, ContainerEngine, StartRequest
from .progress import Progress, Report

_MODELS = "comfy-capsule-models"
_KEYS = "api_keys"
_POLL = 0.5  # seconds
_GRACE = 60.0  # running executions may end


class Serving(BaseModel):
    """A container that serves. `key` is good for this start only."""

    model_config = ConfigDict(frozen=True)

    container: str
    workflow: str
    url: str
    key: str = Field(repr=False)
    volume: str


def start_image(
    engine: ContainerEngine,
    tag: str,
    *,
    address: str,
    port: int,
    models: str = "",
    gpus: bool | None = None,
    report: Report,
) -> Serving:
    """Start a container of `tag`, and wait until it is healthy. What does not become so is removed.

    Args:
        port: of this host; 0 for any free one.
        models: the volume or folder with the models that are not in the image; one that all images share when empty.
        gpus: whether it gets this host's GPUs; None: where the engine can give them.

    Raises:
        BadInput: ``no-image``, ``image-not-ours``.
        CapsuleError: ``container-failed``, with the end of what it printed.
    """
    labels = image_labels(engine, tag)
    name, key = labels.get(TITLE_LABEL, "workflow"), secrets.token_hex(24)
    volume = f"comfy-capsule-{re.sub('[^a-z0-9_.-]', '-', name)}"
    request = StartRequest(
        image=tag,
        address=address,
        port=port,
        volume=volume,
        models=models or (_MODELS if f"{LABEL}models" in labels else ""),
        files={_KEYS: f"run {key}\n".encode()},
        environment={"COMFY_CAPSULE_API_KEY_FILE": f"/state/{_KEYS}"},
        gpus=gpus,
    )
    container = engine.start(request)
    with _removed_on_failure(engine, container.id):
        while (found := engine.look(container.id)).state == "starting":
            report(Progress(phase="run", item=f"{tag} starts"))
            time.sleep(_POLL)
        if found.state != "healthy":
            said = _last_lines(engine, container.id)
            raise CapsuleError("container-failed", f"{tag} was started and is {found.state}: {said}")
    return Serving(container=container.id, workflow=name, url=found.url, key=key, volume=volume)


def stop_image(engine: ContainerEngine, serving: Serving) -> None:
    """End it; what it has done stays in its volume."""
    engine.stop(serving.container, _GRACE)


def image_labels(engine: ContainerEngine, tag: str) -> dict[str, str]:
    """The labels of `tag`, an image of ours.

    Raises:
        BadInput: ``no-image``, ``image-not-ours``.
    """
    found = engine.inspect(tag)
    if found is None:
        raise BadInput("no-image", f"The engine has no image {tag}.", "Build it, or pull it with `docker pull`.")
    if f"{LABEL}capsule" not in found.labels:
        raise BadInput("image-not-ours", f"The image {tag} was not built from a capsule.", "Name another image.")
    return found.labels


@contextmanager
def _removed_on_failure(engine: ContainerEngine, container: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.stop(container, 0)
        raise


def _last_lines(engine: ContainerEngine, container: str) -> str:
    return " ".join(list(engine.log(container, follow=False))[-3:]) or "it said nothing"
