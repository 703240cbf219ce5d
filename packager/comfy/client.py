"""The web API of a running ComfyUI (server.py, 0.30.0), as typed coroutines."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from pydantic import BaseModel, ConfigDict

from ..command import without_credentials
from ..errors import BadInput, CapsuleError
from .events import Event, parse_event
from .refusal import GraphRefused

_CHUNK = 1 << 16
# What we understand of the server's optional messages; previews then name their prompt and node.
_FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


class Submitted(BaseModel):
    """A queued prompt: its id and its place in the queue (lower runs earlier)."""

    model_config = ConfigDict(frozen=True)

    prompt_id: str
    number: float


class Queue(BaseModel):
    """The prompt ids that run and that wait, in the order they will run."""

    model_config = ConfigDict(frozen=True)

    running: tuple[str, ...]
    pending: tuple[str, ...]


class Uploaded(BaseModel):
    """A file in ComfyUI's input folder; `reference` is what a LoadImage widget takes."""

    model_config = ConfigDict(frozen=True)

    name: str
    subfolder: str = ""
    type: str = "input"

    @property
    def reference(self) -> str:
        path = f"{self.subfolder}/{self.name}" if self.subfolder else self.name
        return path if self.type == "input" else f"{path} [{self.type}]"


class ComfyClient:
    """One connection pool to one ComfyUI; an async context manager, or `close` it.

    Every method raises `BadInput` ``comfyui-unreachable`` when nothing answers at `base_url`, and `CapsuleError`
    ``comfyui-error`` for an answer it does not expect.
    """

    def __init__(self, base_url: str, *, timeout: float = 60.0) -> None:
        """`timeout`: seconds until an answer begins; a body may take as long as it flows."""
        self.base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def system_stats(self) -> dict[str, Any]:
        """Versions, launch arguments and devices.

        Raises:
            BadInput: ``not-comfyui`` when another kind of server answers.
        """
        stats = await self._json("GET", "/system_stats", tolerate=(403, 404, 405))
        if not isinstance(stats, dict) or "system" not in stats:
            raise BadInput("not-comfyui", f"What answers at {self._shown} is not a ComfyUI.", "Correct the address.")
        return stats

    async def object_info(self) -> dict[str, Any]:
        """Class name to signature, for every node class that loaded."""
        return dict(await self._json("GET", "/object_info"))

    async def model_folders(self) -> list[dict[str, Any]]:
        """Every folder type with its places and endings, ``{"name", "folders", "extensions"}``; none where it is older.

        Source: ``app/model_manager.py`` get_model_folders, ComfyUI 0.30.0.
        """
        return list(await self._json("GET", "/experiment/models", tolerate=(404,)) or ())

    async def features(self) -> dict[str, Any]:
        """The server's feature flags; empty for a ComfyUI older than them."""
        return dict(await self._json("GET", "/features", tolerate=(404,)) or {})

    async def submit(
        self,
        graph: Mapping[str, Any],
        *,
        prompt_id: str | None = None,
        client_id: str | None = None,
        extra_data: Mapping[str, Any] | None = None,
    ) -> Submitted:
        """Queue an API graph.

        Args:
            prompt_id: ours, a UUID in lower-case hyphenated form; ComfyUI makes one when not given.
            client_id: whose websocket hears of it.
            extra_data: e.g. ``{"extra_pnginfo": {"workflow": …}}`` for the saved files.

        Raises:
            GraphRefused: the graph is invalid, wholly or for some of its outputs; in the second case ComfyUI has
                begun with the others, and is stopped.
        """
        body: dict[str, Any] = {"prompt": graph, "extra_data": dict(extra_data or {})}
        if prompt_id:
            body["prompt_id"] = prompt_id
        if client_id:
            body["client_id"] = client_id
        answer = await self._json("POST", "/prompt", json=body, tolerate=(400,))
        if not isinstance(answer, dict) or "prompt_id" not in answer:
            raise GraphRefused.of(answer, graph)
        if answer.get("node_errors"):
            # ComfyUI has queued the outputs that are valid; half a result would be taken for a whole one.
            await self._withdraw(answer["prompt_id"])
            raise GraphRefused.of(answer, graph)
        return Submitted(prompt_id=answer["prompt_id"], number=answer.get("number", 0))

    async def queue(self) -> Queue:
        """What runs and what waits now."""
        answer = await self._json("GET", "/queue")
        running = sorted(answer["queue_running"], key=lambda item: item[0])
        pending = sorted(answer["queue_pending"], key=lambda item: item[0])
        return Queue(running=tuple(item[1] for item in running), pending=tuple(item[1] for item in pending))

    async def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The finished prompt's ``{"prompt", "outputs", "status", "meta"}``; None while it waits or runs."""
        entry = (await self._json("GET", f"/history/{prompt_id}")).get(prompt_id)
        return dict(entry) if entry is not None else None

    async def delete_queued(self, *prompt_ids: str) -> None:
        """Take waiting prompts out of the queue; those that run or have ended are left."""
        await self._json("POST", "/queue", json={"delete": list(prompt_ids)})

    async def interrupt(self, prompt_id: str) -> None:
        """Stop this prompt if it is the one that runs. ComfyUI stops between nodes, or where a node looks."""
        await self._json("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def view(self, filename: str, subfolder: str = "", type: str = "output") -> bytes:
        """A file's bytes. `type` is ``output``, ``input`` or ``temp``.

        Raises:
            CapsuleError: ``no-such-file``.
        """
        return b"".join([chunk async for chunk in self.view_stream(filename, subfolder, type)])

    async def view_stream(self, filename: str, subfolder: str = "", type: str = "output") -> AsyncIterator[bytes]:
        """As `view`, in pieces, for large files."""
        query = {"filename": filename, "subfolder": subfolder, "type": type}
        async with self._request("GET", "/view", params=query) as answer:
            if answer.status == 404:
                raise CapsuleError("no-such-file", f"ComfyUI has no {type} file {posixpath.join(subfolder, filename)}.")
            await self._expect(answer, "/view")
            async for chunk in answer.content.iter_chunked(_CHUNK):
                yield chunk

    async def upload_image(
        self, data: bytes, name: str, subfolder: str = "", overwrite: bool = False, type: str = "input"
    ) -> Uploaded:
        """Put a file into the input folder. Without `overwrite`, other bytes under that name get a new name.

        Raises:
            BadInput: ``bad-file-name``.
        """
        if not name or any(ord(character) < 32 for character in name + subfolder):
            raise BadInput("bad-file-name", f"{name!r} cannot be a file name.", "Choose another name.")
        # ComfyUI takes the name as it stands in the header: percent signs of a quoted one would stay in it.
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", data, filename=name, content_type="application/octet-stream")
        form.add_field("subfolder", subfolder)
        form.add_field("type", type)
        form.add_field("overwrite", "true" if overwrite else "false")
        return Uploaded.model_validate(await self._json("POST", "/upload/image", data=form))

    @asynccontextmanager
    async def websocket(self, client_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The messages to `client_id`: connected when the block is entered, so that none of a prompt submitted
        inside it is missed. The iterator ends when the connection does::

            async with client.websocket(client_id) as events:
                await client.submit(graph, client_id=client_id)
                async for event in events: ...
        """
        url = f"{self.base_url}/ws"
        try:
            socket = await self._open().ws_connect(
                url, params={"clientId": client_id}, heartbeat=30.0, max_msg_size=0, autoping=True
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self._unreachable() from error
        async with socket:
            await socket.send_json(_FEATURES)
            yield _events(socket)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _withdraw(self, prompt_id: str) -> None:
        """Take it out, waiting or running. An interrupt that comes as a prompt starts is forgotten (execution.py
        clears the flag then), so it is said again; a node that never looks is left after a second."""
        for _ in range(20):
            await self.delete_queued(prompt_id)
            await self.interrupt(prompt_id)
            queue = await self.queue()
            if prompt_id not in queue.running + queue.pending:
                return
            await asyncio.sleep(0.05)

    @property
    def _shown(self) -> str:
        return without_credentials(self.base_url)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self._session

    def _unreachable(self) -> BadInput:
        return BadInput(
            "comfyui-unreachable", f"No ComfyUI answers at {self._shown}.", "Start it, or correct the address."
        )

    @asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._open().request(method, self.base_url + path, **options) as answer:
                yield answer
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self._unreachable() from error

    async def _json(self, method: str, path: str, *, tolerate: tuple[int, ...] = (), **options: Any) -> Any:
        """The JSON body; None for an empty one, or for text under a tolerated status."""
        async with self._request(method, path, **options) as answer:
            if answer.status not in tolerate:
                await self._expect(answer, path)
            body = await answer.read()
        try:
            return await answer.json(content_type=None) if body else None
        except ValueError as error:
            if answer.status in tolerate or path == "/system_stats":
                return None
            raise self._unexpected(path, answer.status, "no JSON") from error

    async def _expect(self, answer: aiohttp.ClientResponse, path: str) -> None:
        if answer.status >= 300:
            raise self._unexpected(path, answer.status, (await answer.text(errors="replace"))[:300])

    def _unexpected(self, path: str, status: int, said: str) -> CapsuleError:
        return CapsuleError("comfyui-error", f"{self._shown}{path} answered {status}: {said}".rstrip(": ") + ".")


async def _events(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Event]:
    async for message in socket:
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            yield parse_event(message.data)
