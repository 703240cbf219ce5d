"""Wheels from where the lock says that they are, each held to its hash while it comes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import requests

from ..command import without_credentials
from ..errors import Cancelled, CapsuleError
from ..materialise import download_to
from .contents import WantedWheel

_TRIES = 3
_PAUSE = 1.0  # seconds between two


def fetch_wheel(wanted: WantedWheel, url: str, into: Path, arrived: Callable[[int], None]) -> None:
    """Write the wheel at `url`, which may hold credentials, to the new file `into`.

    Args:
        arrived: told of every so many bytes; it may raise to stop.

    Raises:
        CapsuleError: ``wheel-missing``, with what the server answered, or that it gave other bytes.
    """
    with _File(into, arrived) as sink:
        for left in reversed(range(_TRIES)):
            try:
                download_to(url, wanted.size, sink, {})
                break
            except Cancelled:
                raise
            except requests.RequestException as error:
                if not left:
                    raise _missing(wanted, f"{type(error).__name__}.") from error
            except CapsuleError as error:
                if not left or error.code != "model-busy":
                    raise _missing(wanted, error.message) from error
            time.sleep(_PAUSE)  # the next try goes on where this one stopped
        if sink.digest != wanted.sha256:
            raise _missing(wanted, "it has other bytes now.")


def _missing(wanted: WantedWheel, why: str) -> CapsuleError:
    return CapsuleError(
        "wheel-missing",
        f"The wheel {wanted.name} cannot be had from {without_credentials(wanted.url)}: {without_credentials(why)}",
        "Check the network and your package index settings, or export again with an index that has it.",
    )


class _File:
    """A `Sink` that is a file."""

    def __init__(self, path: Path, arrived: Callable[[int], None]) -> None:
        self._path, self._arrived = path, arrived
        self._hash = hashlib.sha256()
        self.offset = 0

    def __enter__(self) -> _File:
        self._file = self._path.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._arrived(-self.offset)
        self._hash = hashlib.sha256()
        self.offset = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.offset += len(data)
        self._arrived(len(data))
