"""The files that a request brings: stored by digest, and looked at before a node sees them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..contract import Contract, Input, media_inputs
from .foreign import Foreign
from .interface import ExecutionStore, OutputStore
from .models import StoredFile
from .outputs import media_type
from .probe import wrong_stream
from .problems import Problem
from .settings import Settings

#: A media type that a header of an answer can hold.
PLAIN_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")

_PICTURES = frozenset({"image", "mask"})
#: What a server may call a file of a kind; what the bytes are is looked at all the same.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "image": ("image/",),
    "mask": ("image/",),
    "audio": ("audio/", "video/", "application/ogg"),
    "video": ("video/", "image/gif", "application/ogg"),
}
#: How files of a kind begin: (offset, bytes). FFmpeg also takes playlists, which name other files: none is here.
_MAGIC: Mapping[str, tuple[tuple[int, bytes], ...]] = {
    "audio": (
        (0, b"RIFF"), (0, b"fLaC"), (0, b"OggS"), (0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"),
        (0, b"\xff\xf1"), (0, b"\xff\xf9"), (0, b"FORM"), (0, b"\x1aE\xdf\xa3"), (4, b"ftyp"),
    ),
    "video": (
        (4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (0, b"RIFF"), (0, b"OggS"), (0, b"GIF8"), (0, b"FLV"), (4, b"moov"),
        (4, b"mdat"), (0, b"\x00\x00\x01\xba"), (0, b"\x00\x00\x01\xb3"),
    ),
}  # fmt: skip


class Media:
    """Turns the three forms of a file (inline, upload id, URL) into one: ``{"file": ID}`` of a stored upload."""

    def __init__(self, store: ExecutionStore, outputs: OutputStore, settings: Settings, foreign: Foreign) -> None:
        self._store = store
        self._outputs = outputs
        self._settings = settings
        self._foreign = foreign

    async def take(self, contract: Contract, parameters: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """`parameters` with every file that came here stored, checked and named by its id; URLs are left to `fetch`.

        Raises:
            Problem: ``bad-media``, ``picture-too-large``, ``url-media-off``, ``unknown-file``, with the parameter.
        """
        taken = dict(parameters)
        for each in media_inputs(contract):
            if each.name not in parameters:
                continue
            given = parameters[each.name]
            if "url" in given:
                if not self._settings.fetch_media:
                    raise Problem(
                        "url-media-off",
                        f"The parameter {each.name!r} names a URL; this gateway fetches none.",
                        'Send the bytes: {"data": base64}, or upload them with POST /files and send {"file": id}.',
                        parameter=each.name,
                    )
                continue
            stored = (
                await self._inline(each.name, given, owner) if "data" in given else await self._upload(given, owner)
            )
            if stored is None:
                raise Problem(
                    "unknown-file", f"The parameter {each.name!r} names an upload that is not here.",
                    "Upload it with POST /files first.", parameter=each.name,
                )  # fmt: skip
            await self.check(each.name, each.type, stored)
            taken[each.name] = {"file": stored.id}
        return taken

    def by_url(self, contract: Contract, taken: Mapping[str, Any]) -> list[Input]:
        """The inputs that `take` left as URLs."""
        return [each for each in media_inputs(contract) if "url" in taken.get(each.name, ())]

    async def fetch(self, inputs: Sequence[Input], taken: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """`taken` with the URLs of `inputs` fetched, all at once, and stored and checked as uploads are.

        Raises:
            Problem: ``url-refused``, ``url-failed``, ``bad-media``, ``picture-too-large``, with the parameter.
        """
        fetching = [asyncio.create_task(self._fetched(each, taken[each.name]["url"], owner)) for each in inputs]
        try:
            files = await asyncio.gather(*fetching)
        finally:
            for task in fetching:
                task.cancel()
        return {**taken, **{each.name: {"file": id} for each, id in zip(inputs, files, strict=True)}}

    async def _fetched(self, each: Input, url: str, owner: str) -> str:
        seconds, limit = self._settings.fetch_timeout, self._settings.file_limit
        try:
            async with self._foreign.get(url, seconds=seconds, limit=limit, types=_TYPES.get(each.type, ())) as answer:
                sha256, size = await self._outputs.put_stream(answer.chunks)
        except Problem as problem:
            said = f"The URL of the parameter {each.name!r} cannot be taken: {problem.message}"
            raise Problem(problem.code, said, problem.cure, parameter=each.name) from problem
        filename = safe_filename(answer.name) or each.name
        if "." not in filename:
            filename += _suffix(_head(await self._local(sha256)))
        kind = answer.type if PLAIN_TYPE.fullmatch(answer.type) else media_type(filename)  # it becomes a header
        stored = await self._store.add_file(owner, filename, kind, size, sha256)
        await self.check(each.name, each.type, stored)
        return stored.id

    async def _inline(self, name: str, given: Mapping[str, Any], owner: str) -> StoredFile:
        text: str = given["data"]
        type = ""
        if text.startswith("data:"):
            head, _, text = text.partition(",")
            type = head[5:].partition(";")[0].strip().lower()
            type = type if PLAIN_TYPE.fullmatch(type) else ""  # it becomes a header
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Problem("bad-media", f"The parameter {name!r} is no base64.", parameter=name) from error
        sha256, size = await self._outputs.put_bytes(data)
        filename = safe_filename(str(given.get("filename") or "")) or f"{name}{_suffix(data)}"
        return await self._store.add_file(owner, filename, type or media_type(filename), size, sha256)

    async def _upload(self, given: Mapping[str, Any], owner: str) -> StoredFile | None:
        return await self._store.get_file(given["file"], owner)

    async def _local(self, sha256: str) -> Path:
        path = await self._outputs.local(sha256)
        if path is None:
            raise Problem(
                "output-missing", "The bytes of an upload are gone from the gateway's state.", "Send it again."
            )
        return path

    async def check(self, name: str, kind: str, stored: StoredFile) -> None:
        """Whether the stored file is what an input of `kind` takes.

        Raises:
            Problem: ``bad-media``, ``picture-too-large``.
        """
        path = await self._local(stored.sha256)
        if kind in _PICTURES:
            wrong = await asyncio.to_thread(_wrong_picture, path, self._settings.pixel_limit)
        elif kind in _MAGIC:
            pixels = self._settings.pixel_limit
            wrong = _wrong_magic(path, kind) or await asyncio.to_thread(wrong_stream, path, kind, pixels)
        else:
            wrong = ""
        if wrong.endswith("pixels"):
            raise Problem(
                "picture-too-large", f"The parameter {name!r} {wrong}.", "Send a smaller one.", parameter=name
            )
        if wrong:
            raise Problem("bad-media", f"The parameter {name!r} {wrong}.", parameter=name)


def safe_filename(given: str) -> str:
    """The last part of a file name, without what could steer a header or a path; empty when nothing is left."""
    last = given.replace("\\", "/").rpartition("/")[2]
    kept = "".join(char for char in last if char.isprintable() and char not in '"<>|:*?\0').strip(". ")
    return kept[-200:]


def _wrong_picture(path: Path, limit: int) -> str:
    """Why the file is no picture to be taken, or an empty string. Only its head is decoded."""
    from PIL import Image  # slow to import, and not every workflow takes pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > limit:
                    return f"is a picture of {width} x {height}, more than {limit} pixels"
                picture.verify()
    except Image.DecompressionBombError:
        return f"is a picture of more than {limit} pixels"
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on broken bytes
        return f"is no picture that can be read ({type(error).__name__})"
    return ""


def _wrong_magic(path: Path, kind: str) -> str:
    head = _head(path)
    if any(head[offset : offset + len(magic)] == magic for offset, magic in _MAGIC[kind]):
        return ""
    return f"is no {kind} that can be read"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _suffix(data: bytes) -> str:
    """The ending for bytes that came without a name; loaders look at it."""
    endings = (
        (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"fLaC", ".flac"), (b"OggS", ".ogg"),
        (b"ID3", ".mp3"), (b"\xff\xfb", ".mp3"), (b"\x1aE\xdf\xa3", ".webm"), (b"BM", ".bmp"),
    )  # fmt: skip
    if data[:4] == b"RIFF":
        return {b"WEBP": ".webp", b"WAVE": ".wav", b"AVI ": ".avi"}.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return ".m4a" if data[8:11] == b"M4A" else ".avif" if data[8:12] == b"avif" else ".mp4"
    return next((ending for magic, ending in endings if data.startswith(magic)), "")
