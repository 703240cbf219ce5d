"""The files that go to a ComfyUI and come from it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CapsuleError
from .interface import OutputStore
from .outputs import Reference, missing, references
from .problems import Problem
from .secrets import Secrets
from .supervise import Backend
from .sweep import Sweep


class Exchange:
    """Between one ComfyUI and the store of outputs; secrets that a node wrote into a file stay behind."""

    def __init__(self, backend: Backend, outputs: OutputStore, secrets: Secrets) -> None:
        self._backend = backend
        self._outputs = outputs
        self._secrets = secrets
        self._uploaded: set[str] = set()
        self._sweep = Sweep(backend, outputs)

    def restarted(self) -> None:
        """ComfyUI has come up anew: perhaps with another input folder."""
        self._uploaded.clear()
        self._sweep.restarted()

    async def upload(self, files: Mapping[str, Path | bytes]) -> None:
        """Put the files that a graph reads into ComfyUI's input folder, each once for each life of ComfyUI."""
        for reference, source in files.items():
            if reference in self._uploaded:
                continue
            if (folder := self._backend.folder("input")) is not None:
                await asyncio.to_thread(_place, source, folder / reference)
            else:
                data = source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
                subfolder, _, name = reference.rpartition("/")
                await self._backend.client.upload_image(data, name, subfolder=subfolder, overwrite=True)
            self._uploaded.add(reference)

    async def fetch(self, reference: Reference) -> tuple[str, int]:
        """Keep the file; its sha256 (hex) and size.

        Raises:
            Problem: it is not there, or cannot be read.
        """
        folder = self._backend.folder(reference.type)
        try:
            if folder is not None:
                path = (folder / reference.subfolder / reference.filename).resolve()
                if not path.is_relative_to(folder):
                    raise missing(reference, "it is outside ComfyUI's folder")
                kept = await self._keep(path)
                self._sweep.remember(reference, kept)
                return kept
            stream = self._backend.client.view_stream(reference.filename, reference.subfolder, reference.type)
            if self._secrets:
                data = b"".join([chunk async for chunk in stream])
                return await self._keep_cleaned(data)
            return await self._outputs.put_stream(stream)
        except OSError as error:
            if (known := self._sweep.recall(reference)) and await self._outputs.local(known[0]) is not None:
                return known
            raise missing(reference, error.strerror or str(error)) from error
        except CapsuleError as error:
            if isinstance(error, Problem):
                raise
            raise missing(reference, error.message) from error

    async def _keep(self, path: Path) -> tuple[str, int]:
        if not self._secrets:
            return await self._outputs.put_file(path)
        return await self._keep_cleaned(await asyncio.to_thread(path.read_bytes))

    async def _keep_cleaned(self, data: bytes) -> tuple[str, int]:
        return await self._outputs.put_bytes(await asyncio.to_thread(self._secrets.cleaned, data))

    def ended(self, outputs: Mapping[str, Any]) -> None:
        """A run has ended, and what is wanted of its nodes' `outputs` has been fetched."""
        self._sweep.ended(each for output in outputs.values() for each in references(output))


def _place(source: Path | bytes, place: Path) -> None:
    """A copy at `place`, whole or not at all; never a link: a node may write over what it reads."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.part")
    if isinstance(source, bytes):
        temporary.write_bytes(source)
    else:
        shutil.copyfile(source, temporary)
    os.replace(temporary, place)
