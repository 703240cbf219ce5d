"""Sessions of the page: a cookie that stands for an API key, signed, so that nothing of it need be kept."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence

from .keys import Key

COOKIE = "comfy_capsule_session"
LIFE = 12 * 3600  # seconds
_SHORT = 16  # hex digits of a key's digest that say which key is meant


class Sessions:
    """Makes and reads cookies. One whose key is no longer configured is worth nothing."""

    def __init__(self, secret: bytes, keys: Sequence[Key]) -> None:
        """`secret`: 32 bytes that only the gateways of one store know: a session of one is good at all."""
        self._secret = secret
        self._keys = {key.sha256[:_SHORT]: key for key in keys}

    def make(self, key: Key) -> str:
        """A cookie's value for `key`, good for `LIFE` seconds."""
        said = f"{int(time.time()) + LIFE:x}.{key.sha256[:_SHORT]}"
        return f"{said}.{self._signature(said, key)}"

    def key(self, cookie: str) -> Key | None:
        """The key that `cookie` stands for; None for one that is forged, too old, or of a gone key."""
        said, _, signature = cookie.rpartition(".")
        until, _, short = said.partition(".")
        key = self._keys.get(short)
        if key is None or not hmac.compare_digest(signature.encode(), self._signature(said, key).encode()):
            return None
        return key if int(until, 16) > time.time() else None

    def _signature(self, said: str, key: Key) -> str:
        return hmac.new(self._secret + key.sha256.encode(), said.encode(), hashlib.sha256).hexdigest()
