"""Somebody else's web server and somebody else's name server, on loopback, for what a caller's URL may lead to."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from socket import AF_INET, AddressFamily

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stranger:
    """Answers every request with `answer`, and notes it in `asked`."""

    answer: Handler
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    port: int | None = None
    asked: list[Asked] = field(default_factory=list)

    async def __aenter__(self) -> Stranger:
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        self._server = TestServer(app, host=self.host, scheme="https" if self.tls else "http", port=self.port)
        await self._server.start_server(ssl=self.tls)
        self.port = self._server.port
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Exception):
            await self._server.close()

    def url(self, path: str = "/", host: str = "") -> str:
        return f"{'https' if self.tls else 'http'}://{host or self.host}:{self.port}{path}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.path_qs, headers, await request.read()))
        return await self.answer(request)


def giving(body: bytes, type: str = "image/png", status: int = 200, **headers: str) -> Handler:
    """An answer that is always the same."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={"Content-Type": type, **headers})

    return answer


class Names(AbstractResolver):
    """Answers each look-up of a name with the next of its addresses; the last one stays. `looked` counts."""

    def __init__(self, **names: list[str | list[str]]) -> None:
        self._names = names
        self.looked = 0

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        self.looked += 1
        answers = self._names.get(host.lower().partition(".")[0])
        if not answers:
            raise OSError("no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=AF_INET, proto=0, flags=0)
            for each in ([answer] if isinstance(answer, str) else answer)
        ]

    async def close(self) -> None:
        pass
