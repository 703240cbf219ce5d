"""The socket that the gateway listens on: there before all that answers on it is loaded."""

from __future__ import annotations

import errno
import os
import socket

from ..errors import BadInput
from .settings import Settings

_BACKLOG = 128


def listen(settings: Settings) -> socket.socket:
    """A socket that takes connections at once; they are answered when the gateway serves it.

    Raises:
        BadInput: ``port-taken``, ``bad-host``.
    """
    host = settings.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(address)
            made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"Port {settings.port} on {settings.host} is already taken."
            raise BadInput("port-taken", message, "Choose another with --port.") from error
        raise BadInput(
            "bad-host", f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}."
        ) from error
    return made


def address_of(listener: socket.socket) -> str:
    """As ``http://127.0.0.1:8288``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
