"""What a run gave: every file and every value of the contract's output nodes, brought into the gateway's own store."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..contract import Contract
from .models import Item
from .problems import Problem

#: Media types that Python's table does not know, or knows otherwise on some systems.
_TYPES = {
    ".webp": "image/webp", ".apng": "image/apng", ".avif": "image/avif", ".exr": "image/x-exr",
    ".flac": "audio/flac", ".opus": "audio/ogg", ".m4a": "audio/mp4", ".mkv": "video/x-matroska",
    ".webm": "video/webm", ".glb": "model/gltf-binary", ".gltf": "model/gltf+json", ".obj": "model/obj",
    ".stl": "model/stl", ".ply": "model/ply", ".safetensors": "application/octet-stream",
    ".latent": "application/octet-stream",
}  # fmt: skip

#: The key under which the node CapsuleOutputJSON (nodes/outputs.py) gives values that are JSON whatever they look like:
#: a text is no text, an object with a file name no file. What stands beside it is for the editor.
_JSON = "capsule_json"


@dataclass(frozen=True)
class Reference:
    """One file as ComfyUI names it. `type` is the folder: ``output``, ``temp`` or ``input``."""

    filename: str
    subfolder: str
    type: str


#: Brings one file into the store; its sha256 (hex) and size. Raises Problem ``output-missing``.
Fetch = Callable[[Reference], Coroutine[Any, Any, tuple[str, int]]]


class Collector:
    """The outputs of one run.

    Files are fetched as soon as their node says that it is done, while the graph still runs; what counts in the end
    is ComfyUI's history.
    """

    def __init__(self, contract: Contract, fetch: Fetch) -> None:
        self._contract = contract
        self._fetch = fetch
        self._wanted = {node for output in contract.outputs for node in output.nodes}
        self._early: dict[Reference, asyncio.Task[tuple[str, int]]] = {}
        self._seen: dict[Reference, int] = {}

    def executed(self, node: str, output: Any) -> None:
        """A node has ended with `output` (the ``executed`` event)."""
        for reference in references(output) if node in self._wanted else ():
            # A second file of the same name may have replaced the first: then only the end's bytes are true.
            self._seen[reference] = self._seen.get(reference, 0) + 1
            if reference not in self._early:
                self._early[reference] = asyncio.create_task(self._fetch(reference))

    async def collect(self, entry: Mapping[str, Any]) -> dict[str, list[Item]]:
        """All outputs by name, from the history entry of a run that succeeded.

        Raises:
            Problem: ``output-missing`` when a file that the history names cannot be had.
        """
        found: Mapping[str, Any] = entry.get("outputs") or {}
        meta: Mapping[str, Any] = entry.get("meta") or {}
        collected: dict[str, list[Item]] = {}
        for output in self._contract.outputs:
            items: list[Item] = []
            for wanted in output.nodes:
                # A node that expands into others at run time shows theirs under its own id.
                nodes = [n for n in found if n == wanted or (meta.get(n) or {}).get("display_node") == wanted]
                for node in nodes:
                    for key, value in _values(found[node]):
                        items.append(await self._item(key, value))
            collected[output.name] = items
        return collected

    async def _item(self, key: str, value: Any) -> Item:
        reference = _reference(key, value)
        if reference is None:
            if isinstance(value, str) and key != _JSON:
                return Item(kind="text", type="text/plain", value=value)
            return Item(kind="json", type="application/json", value=value)
        early = self._early.pop(reference, None)
        if early is not None and self._seen[reference] == 1:
            sha256, size = await early
        else:
            sha256, size = await self._fetch(reference)
        return Item(
            kind="file", filename=reference.filename, type=media_type(reference.filename), size=size, sha256=sha256
        )

    def drop(self) -> None:
        """Stop what is still being fetched."""
        for task in self._early.values():
            task.cancel()


def media_type(filename: str) -> str:
    """The media type that the file's name says."""
    suffix = "." + filename.rpartition(".")[2].lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(filename)[0] or "application/octet-stream"


def missing(reference: Reference, why: str) -> Problem:
    """ComfyUI named a file that is not there."""
    return Problem(
        "output-missing",
        f"ComfyUI names the result {reference.filename!r}, but it cannot be read: {why}.",
        "If somebody removed it from ComfyUI's folder, change a parameter (a seed) so that it is made again.",
    )


def references(output: Any) -> Iterator[Reference]:
    """The files that a node's UI output names."""
    for key, value in _values(output) if isinstance(output, dict) else ():
        if reference := _reference(key, value):
            yield reference


def _values(output: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each single value of a node's UI output, whatever its key; what only steers the front-end is left out."""
    for key, values in [(_JSON, output[_JSON])] if _JSON in output else output.items():
        if key == "animated":  # ``(True,)``: tells the front-end how to show the pictures beside it
            continue
        for value in values if isinstance(values, list) else [values]:
            yield key, value


def _reference(key: str, value: Any) -> Reference | None:
    if key == _JSON or not isinstance(value, dict) or not isinstance(value.get("filename"), str):
        return None
    return Reference(value["filename"], str(value.get("subfolder") or ""), str(value.get("type") or "output"))
