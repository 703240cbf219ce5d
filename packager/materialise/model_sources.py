"""Where a model's bytes come from: the capsule, folders that the user names, and the addresses that it records."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ..capsule import Model, Vendored, by_digest
from ..command import without_credentials
from ..errors import BadInput, Cancelled, CapsuleError
from .download import download
from .interface import Sink
from .tokens import tokens_of

_CHUNK = 1 << 20


class VendoredModels:
    """What the capsule itself holds, see `Capsule.vendored`."""

    def __init__(self, vendored: Mapping[str, Vendored]) -> None:
        self._held = by_digest(vendored)

    def give(self, model: Model, sink: Sink) -> bool:
        """See `ModelSource`."""
        held = self._held.get(model.sha256)
        if held is None:
            return False
        sink.restart()
        try:
            for chunk in held.chunks():
                sink.write(chunk)
        except BadInput:
            sink.restart()  # nobody goes on where damaged bytes end
            raise
        return True


class FolderModels:
    """Folders of the user's own, e.g. another ComfyUI's ``models``: searched by size, then by sha256."""

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise BadInput("no-models-folder", f"There is no folder {folder}.", "Check --models-from.")
        self._folders = folders

    def give(self, model: Model, sink: Sink) -> bool:
        """See `ModelSource`. The user's file is copied, never linked: the store must not change with it."""
        name = Path(model.name).name
        for path in sorted(self._by_size.get(model.size, ()), key=lambda path: path.name != name):
            sink.restart()
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    sink.write(chunk)
            if sink.digest == model.sha256:
                return True
            sink.restart()
        return False

    @cached_property
    def _by_size(self) -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for folder in self._folders:
            for base, _, names in os.walk(folder, followlinks=True):
                for path in (Path(base, name) for name in sorted(names)):
                    if path.is_file():
                        found.setdefault(path.stat().st_size, []).append(path)
        return found


class UrlModels:
    """The addresses in the lock, one after another; an interrupted download goes on where it stopped.

    Args:
        tokens: ``{host: token}``; the user's own when not given.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._tokens = tokens_of(os.environ) if tokens is None else tokens

    def give(self, model: Model, sink: Sink) -> bool:
        """See `ModelSource`."""
        refused = []
        for url in (source.url for source in model.sources):
            if urlsplit(url).scheme not in ("http", "https"):
                continue
            try:
                download(url, model.size, sink, self._tokens)
            except Cancelled:
                raise
            except (requests.RequestException, CapsuleError) as error:
                reason = error.message if isinstance(error, CapsuleError) else type(error).__name__
                refused.append(f"{without_credentials(url)}: {reason}")
                continue
            if sink.digest == model.sha256:
                return True
            sink.restart()
            refused.append(f"{without_credentials(url)}: it has other bytes now.")
        if refused:
            raise CapsuleError("model-missing", " ".join(refused))
        return False
