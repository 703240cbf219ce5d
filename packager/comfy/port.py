"""A free loopback port."""

from __future__ import annotations

import random
import socket

# Below the ports that systems give to outgoing connections, which could take it before it is listened on.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port() -> int:
    """A random port on which nothing listens on 127.0.0.1 at this moment."""
    while True:
        port = random.randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
