"""The messages of ComfyUI's websocket (protocol.py and server.py, 0.30.0)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# protocol.py, BinaryEventTypes; each binary message begins with one of these as a big-endian uint32.
_PREVIEW, _TEXT, _PREVIEW_WITH_METADATA = 1, 3, 4
_IMAGE_TYPES = {1: "image/jpeg", 2: "image/png"}


class Event(NamedTuple):
    """One message. A plain tuple: a run has a dozen of them.

    Attributes:
        kind: ComfyUI's own type (``status``, ``executing``, ``progress_state``, ``executed``, …), or ``preview`` and
            ``text`` for the binary ones.
        data: what it says; for a preview its ``content_type`` and, from servers that tell, ``prompt_id`` and
            ``node_id``; for text its ``node_id``.
        payload: the bytes of a preview or of a text (UTF-8).
    """

    kind: str
    data: Mapping[str, Any] = MappingProxyType({})
    payload: bytes = b""


def parse_event(message: str | bytes) -> Event:
    """An `Event` from a text or binary frame; one of an unknown binary kind is ``binary-N`` with its bytes."""
    if isinstance(message, str):
        said = json.loads(message)
        data = said.get("data")
        return Event(kind=str(said.get("type", "")), data=data if isinstance(data, dict) else {})
    kind, body = _number(message), message[4:]
    if kind == _PREVIEW:
        return Event(kind="preview", data={"content_type": _IMAGE_TYPES.get(_number(body), "")}, payload=body[4:])
    if kind == _PREVIEW_WITH_METADATA:
        end = 4 + _number(body)
        metadata = json.loads(body[4:end])
        return Event(
            kind="preview", data={"content_type": metadata.get("image_type", ""), **metadata}, payload=body[end:]
        )
    if kind == _TEXT:
        end = 4 + _number(body)
        return Event(kind="text", data={"node_id": body[4:end].decode()}, payload=body[end:])
    return Event(kind=f"binary-{kind}", payload=body)


def _number(data: bytes) -> int:
    return int(struct.unpack_from(">I", data)[0]) if len(data) >= 4 else -1
