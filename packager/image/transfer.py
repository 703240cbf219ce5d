"""What an engine says while it pulls or pushes an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..command import without_credentials
from ..errors import CapsuleError
from ..progress import Progress, Report


def transfer(said: Iterable[Mapping[str, Any]], phase: str, image: str, report: Report) -> Iterator[Mapping[str, Any]]:
    """Report the bytes of all layers together, and give on what is said.

    The objects are those of the Engine API's ``/images/create`` and ``/images/NAME/push``
    (https://docs.docker.com/reference/api/engine/): ``id`` is a layer, ``progressDetail`` its bytes.

    Raises:
        CapsuleError: ``transfer-failed``, with what the registry answered.
    """
    layers: dict[str, tuple[int, int]] = {}
    report(Progress(phase=phase, item=image))
    for each in said:
        if why := each.get("error"):
            raise CapsuleError("transfer-failed", without_credentials(str(why)))
        bytes_of = each.get("progressDetail") or {}
        if "current" in bytes_of:
            done = int(bytes_of["current"])
            layers[str(each.get("id"))] = done, max(done, int(bytes_of.get("total") or 0))
            done, total = (sum(column) for column in zip(*layers.values(), strict=True))
            report(Progress(phase=phase, item=image, done=done, total=total, unit="bytes"))
        yield each


def repository(image: str) -> str:
    """``host:port/name`` of ``host:port/name:tag@sha256:…``."""
    name = image.partition("@")[0]
    start, colon, tag = name.rpartition(":")
    return start if colon and "/" not in tag else name
