"""The secrets of the served workflows: put into graphs as late as possible, kept out of everything that is told."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from ..capsule import Capsule
from ..secrets import Vault, fill, read_secrets, rewrite_texts, secret_names, through_json
from .settings import Settings

_OGG = b"OggS"


class Secrets:
    """Values by name. True when there are any.

    Values leave it in one way: into the graph that is handed to ComfyUI.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._vault = Vault()
        for name, value in self._values.items():
            self._vault.add(name, value, "")

    @classmethod
    def of(cls, capsules: Iterable[Capsule], settings: Settings, environment: Mapping[str, str]) -> Secrets:
        """Those that `capsules` need; workflows that name the same secret share it.

        Raises:
            BadInput: ``secret-missing``, ``secret-unreadable``.
        """
        names = sorted({name for capsule in capsules for name in capsule.secrets})
        return cls(read_secrets(names, environment, settings.secrets_dir))

    def __bool__(self) -> bool:
        return bool(self._values)

    def asked(self, value: Any) -> bool:
        """Whether `value`, of a capsule's own graph, asks for a secret."""
        return bool(secret_names(value))

    def fill(self, value: Any) -> Any:
        """`value`, of a capsule's own graph and never a caller's, with the secrets in it."""
        return fill(value, self._values)

    def shown(self, text: str) -> str:
        """`text` as it may be told."""
        return self._vault.shown(text)

    def shown_all(self, value: Any) -> Any:
        """A JSON value as it may be told."""
        return self._vault.shown_all(value)

    def cleaned(self, data: bytes) -> bytes:
        """A result file as it may be given: ComfyUI writes the whole graph into the files that it saves.

        PNG, WebP and JPEG get the placeholders back. In any other file the bytes of a secret are overwritten; its
        length stays, and so does all that counts bytes in it.
        """
        data = rewrite_texts(data, lambda text: through_json(text, self._vault.shown_all))
        masked = self._vault.masked(data)
        return _summed(masked) if masked != data and masked.startswith(_OGG) else masked


def _summed(data: bytes) -> bytes:
    """An Ogg file whose pages have the sums of what they hold now. RFC 3533, section 6."""
    out, at = bytearray(data), 0
    while out[at : at + 4] == _OGG and at + 27 <= len(out):
        lacing = out[at + 27 : at + 27 + out[at + 26]]
        end = at + 27 + len(lacing) + sum(lacing)
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = struct.pack("<I", _sum(out[at:end]))
        at = end
    return bytes(out)


def _sum(page: bytearray) -> int:
    """CRC-32 with the polynomial 0x04C11DB7, neither reflected nor inverted."""
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value


def _entry(value: int) -> int:
    for _ in range(8):
        value = value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value


_TABLE = [_entry(byte << 24) for byte in range(256)]
NO_SECRETS = Secrets()
