"""Asking addresses that a caller gave, without being made a tool against the network that the gateway stands in."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .addresses import Address, Network, is_public, is_this_machine, literal
from .problems import Problem
from .settings import Settings

_LONGEST = 2048  # characters of a URL
_PLAIN = re.compile(r"https?://[^\s\\\x00-\x1f\x7f]+", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]+")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 4
_CONNECT = 10.0  # seconds
_SILENCE = 20.0  # seconds without a byte
_CHUNK = 1 << 16
_UNTYPED = frozenset({"application/octet-stream", "binary/octet-stream"})
_CURE = "Give an https URL of a public host; what else may be asked, the gateway's owner says with fetch_* settings."


@dataclass(frozen=True)
class Answer:
    """What a URL gave. `type` is its media type, `name` the last part of its path, `chunks` its bytes."""

    type: str
    name: str
    chunks: AsyncIterator[bytes]


class Foreign:
    """Asks URLs of strangers.

    A URL is looked at before each request, redirects' too. Names are looked up once, by a resolver of ours that gives
    aiohttp only addresses which may be asked, so that what was checked is what is connected to. There are no cookies,
    no proxies of the environment, nothing is sent of who asks, and compressed answers are not taken.

    Args:
        http: also without TLS.
        ports: those that may be asked.
        hosts: if there are any, only these, ``*.NAME`` with all below NAME.
        allow: networks that may be asked though they are not public.
        resolver: looks up names; the system's when there is none.
        tls: what servers are trusted by; the system's when there is none.
    """

    def __init__(
        self,
        *,
        http: bool = False,
        ports: Collection[int] = (80, 443),
        hosts: Sequence[str] = (),
        allow: Sequence[Network] = (),
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._schemes = {"https", "http"} if http else {"https"}
        self._ports = frozenset(ports)
        self._hosts = tuple(host.lower() for host in hosts)
        self._allow = tuple(allow)
        self._resolver = _Guarded(resolver or _System(), self._may_ask)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Foreign:
        """As the gateway's owner wants it."""
        return cls(
            http=settings.fetch_http, ports=settings.fetch_ports, hosts=settings.fetch_hosts, allow=settings.fetch_allow
        )

    async def check(self, text: str, *, own_port: int) -> None:
        """Look at a URL and its addresses without asking it.

        Args:
            own_port: where the gateway itself listens on this machine.

        Raises:
            Problem: ``url-refused``.
        """
        url = self._checked(text)
        host, port = _host(url), url.port
        if (address := literal(host)) is not None:
            found = [address]
        else:
            with _told(url):
                async with asyncio.timeout(_CONNECT):
                    answers = await self._resolver.resolve(host, port or 0, socket.AF_UNSPEC)
            found = [ip_address(each["host"]) for each in answers]
        if port == own_port and any(is_this_machine(each) for each in found):
            raise Problem("url-refused", f"{host} is this gateway itself.")

    @asynccontextmanager
    async def get(self, text: str, *, seconds: float, limit: int, types: Sequence[str] = ()) -> AsyncIterator[Answer]:
        """The answer to a GET, after a few redirects at most.

        Args:
            seconds: for all of it, also for what is done with the answer in this context.
            limit: bytes.
            types: beginnings of media types; an answer of another type is refused, one that says none is not.

        Raises:
            Problem: ``url-refused`` when it may not be asked, ``url-failed`` when it gives nothing to be taken.
        """
        url = self._checked(text)
        session = await self._opened()
        headers = {"Accept": ", ".join(f"{each}*" if each.endswith("/") else each for each in types) or "*/*"}
        with _told(url):
            async with asyncio.timeout(seconds):
                for _ in range(_HOPS + 1):
                    async with session.get(url, headers=headers, allow_redirects=False) as response:
                        if response.status in _REDIRECTS:
                            url = self._next(url, response)
                            continue
                        yield _answer(url, response, limit, types)
                        return
        raise Problem("url-failed", f"{_host(url)} redirects more than {_HOPS} times.")

    async def post(
        self, text: str, data: bytes, headers: Mapping[str, str], *, seconds: float
    ) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer to a POST. Redirects are not followed, and no byte of the body is read.

        Raises:
            Problem: ``url-refused``, ``url-failed``.
        """
        url = self._checked(text)
        session = await self._opened()
        with _told(url):
            async with asyncio.timeout(seconds):
                async with session.post(url, data=data, headers=headers, allow_redirects=False) as response:
                    answer = response.status, response.headers
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def _opened(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                if self._tls is None:
                    self._tls = await asyncio.to_thread(ssl.create_default_context)
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        resolver=self._resolver,
                        use_dns_cache=False,
                        force_close=True,
                        limit=64,
                        ssl=self._tls,
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
                    headers={"User-Agent": "comfy-capsule", "Accept-Encoding": "identity"},
                )
        return self._session

    def _may_ask(self, address: Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        return is_public(address) and not is_this_machine(address)

    def _checked(self, text: str) -> URL:
        """The URL, if it may be asked as it is written. Its bytes stay: a signed URL is another one when requoted."""
        if len(text) > _LONGEST or not _PLAIN.fullmatch(text):
            raise Problem("url-refused", "It is no http or https URL in its plain form.", _CURE)
        try:
            url = URL(text, encoded=text.isascii())
            host, port = _host(url), url.port
        except ValueError as error:
            raise Problem("url-refused", "It is no URL that can be read.", _CURE) from error
        if url.scheme not in self._schemes:
            raise Problem("url-refused", f"It is of the scheme {url.scheme}, and this gateway asks only https.", _CURE)
        if "@" in url.raw_authority:
            raise Problem("url-refused", "It holds a user name or a password.", _CURE)
        if not _HOST.fullmatch(host):
            raise Problem("url-refused", "Its host is no name and no address.", _CURE)
        if port not in self._ports:
            raise Problem("url-refused", f"This gateway does not ask port {port}.", _CURE)
        if self._hosts and not any(_is_of(host, each) for each in self._hosts):
            raise Problem("url-refused", f"This gateway does not ask {host}.", _CURE)
        try:
            address = literal(host)
        except ValueError as error:
            raise Problem("url-refused", f"{host} is no address in its plain form.", _CURE) from error
        if address is not None and not self._may_ask(address):
            raise _nowhere(host)
        return url.with_fragment(None)

    def _next(self, url: URL, response: aiohttp.ClientResponse) -> URL:
        to = response.headers.get("Location", "")
        try:
            return self._checked(str(url.join(URL(to, encoded=to.isascii()))))
        except ValueError as error:
            raise Problem("url-failed", f"{_host(url)} redirects to what is no URL.") from error


class _Guarded(AbstractResolver):
    """Looks up names; what a name may not be connected to is refused here, and so never connected to."""

    def __init__(self, resolver: AbstractResolver, may_ask: Callable[[Address], bool]) -> None:
        self._resolver = resolver
        self._may_ask = may_ask

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            found = await self._resolver.resolve(host, port, family)
        except (OSError, UnicodeError):  # the latter for a name with a part too long
            found = []
        # One that may not be asked is enough: who owns the name wants it tried.
        if not found or not all(self._may_ask(ip_address(each["host"])) for each in found):
            raise _nowhere(host)
        return found

    async def close(self) -> None:
        await self._resolver.close()


class _System(AbstractResolver):
    """The system's own look-up, in threads of its own: a name server that answers slowly, which may be the caller's,
    must not keep anything else of the gateway waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, "look-up")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _nowhere(host: str) -> Problem:
    """The same words for a name that is not there and for one inside: nobody shall learn which names there are."""
    return Problem("url-refused", f"{host} has no public address.", _CURE)


def _answer(url: URL, response: aiohttp.ClientResponse, limit: int, types: Sequence[str]) -> Answer:
    host, kind = _host(url), response.content_type.lower()
    if response.status != 200:
        raise Problem("url-failed", f"{host} answers with status {response.status}.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("url-failed", f"{host} gives it compressed, which was not asked for.")
    if types and kind not in _UNTYPED and not kind.startswith(tuple(types)):
        raise Problem("url-failed", f"{host} gives it as {kind[:60]}.")
    return Answer("" if kind in _UNTYPED else kind, unquote(url.raw_name), _chunks(host, response, limit))


async def _chunks(host: str, response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    size = response.content_length or 0
    too_large = Problem("url-failed", f"{host} gives more than {limit} bytes.", "Give a smaller file.")
    if size > limit:
        raise too_large
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise too_large
        yield chunk


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """What went wrong, in words that say nothing of the URL but its host."""
    host = _host(url)
    try:
        yield
    except TimeoutError as error:
        raise Problem("url-failed", f"{host} did not give it in time.") from error
    except aiohttp.ClientSSLError as error:
        raise Problem("url-failed", f"{host} has no certificate that can be trusted.") from error
    except aiohttp.ClientConnectionError as error:
        raise Problem("url-failed", f"{host} cannot be connected to, or hung up.") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise Problem("url-failed", f"{host} gives an answer that cannot be read ({type(error).__name__}).") from error


def _host(url: URL) -> str:
    return (url.raw_host or "").lower()


def _is_of(host: str, wanted: str) -> bool:
    return host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted
