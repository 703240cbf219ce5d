"""One file from one address: in pieces at once where the server gives pieces, from where an earlier attempt stopped."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

import requests

from ..errors import CapsuleError
from .interface import Sink
from .tokens import page_of, variable_of

PIECE = 8 << 20  # bytes of one request, where a file is taken in pieces
_AT_ONCE = 4  # requests for one file; as many pieces are held in memory
_CHUNK = 1 << 20
_TIMEOUT = (20, 60)  # seconds to connect, and between two pieces
_TRIES = 4
_PAUSE = 0.5  # seconds before the second try; each further one waits twice as long


def download(url: str, size: int, sink: Sink, tokens: Mapping[str, str]) -> None:
    """Write the bytes at `url` into `sink`, from its offset on. Whether they are the right ones is not asked here.

    Args:
        size: of the whole file, in bytes.
        tokens: ``{host: token}``; one is sent to its own host only, over TLS, or on this machine.

    Raises:
        CapsuleError: ``model-gated``, with where its licence is accepted; ``model-missing``, ``model-busy``, with the
            server's answer.
        requests.RequestException: when it cannot be reached, several times over.
    """
    fetch = _Fetch(url, tokens)
    if size - sink.offset <= PIECE:
        _whole(fetch, sink)
        return
    first = fetch.piece(sink.offset, PIECE)
    if first is None:  # it gives whole files only
        sink.restart()
        _whole(fetch, sink)
        return
    sink.write(first)
    waiting: deque[Future[bytes | None]] = deque()
    start = sink.offset
    executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="download")
    try:
        while sink.offset < size:
            while start < size and len(waiting) < _AT_ONCE:
                waiting.append(executor.submit(fetch.piece, start, min(PIECE, size - start)))
                start += min(PIECE, size - start)
            if (data := waiting.popleft().result()) is None:
                raise CapsuleError("model-missing", "gave pieces first, and then the whole file only.")
            sink.write(data)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _whole(fetch: _Fetch, sink: Sink) -> None:
    """In one answer, from the offset on where the server does that."""
    with fetch.get(f"bytes={sink.offset}-" if sink.offset else "") as answer:
        if answer.status_code == 416:  # nothing after what we have: the digest tells whether that is all
            return
        if answer.status_code != 206:
            sink.restart()
        for chunk in answer.iter_content(_CHUNK):
            sink.write(chunk)


class _Fetch:
    """Requests for one address, by the same rules."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self._url = url
        parts = urlsplit(url)
        safe = parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._token = tokens.get(parts.hostname or "", "") if safe else ""

    def piece(self, start: int, length: int) -> bytes | None:
        """`length` bytes from `start` on; None when it answers with the whole file. A failure is tried again."""
        error: Exception
        for number in range(_TRIES):
            try:
                with self.get(f"bytes={start}-{start + length - 1}") as answer:
                    if answer.status_code != 206:
                        return None
                    data = answer.content
                if len(data) == length:
                    return data
                error = CapsuleError("model-missing", f"gave {len(data):,} bytes of {length:,}.")
            except requests.RequestException as failed:
                error = failed
            except CapsuleError as failed:
                if failed.code != "model-busy":
                    raise
                error = failed
            time.sleep(_PAUSE * 2**number)
        raise error

    def get(self, byte_range: str) -> requests.Response:
        """The answer, its body not yet read. requests leaves the token out when it follows to another host."""
        headers = {"Accept-Encoding": "identity"}
        if byte_range:
            headers["Range"] = byte_range
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        answer = requests.get(self._url, headers=headers, stream=True, timeout=_TIMEOUT, verify=_authorities())
        if answer.status_code in (401, 403):
            answer.close()
            raise CapsuleError("model-gated", self._gated(answer.status_code))
        if not answer.ok and answer.status_code != 416:
            answer.close()
            busy = answer.status_code == 429 or answer.status_code >= 500
            raise CapsuleError("model-busy" if busy else "model-missing", f"answered {answer.status_code}.")
        return answer

    def _gated(self, status: int) -> str:
        variable, page = variable_of(self._url), page_of(self._url)
        if self._token:
            return f"{status}, the token that was given is not let in; accept the model's licence at {page}."
        how = f"accept the model's licence at {page}, and give your token in {variable}" if variable else f"see {page}"
        return f"{status}, it needs an account: {how}."


def _authorities() -> str | None:
    """The CA bundle of the user's own that uv takes; requests looks for its own variables where there is none."""
    own = os.environ.get("SSL_CERT_FILE", "")
    return own if own and os.path.isfile(own) and not os.environ.get("REQUESTS_CA_BUNDLE") else None
