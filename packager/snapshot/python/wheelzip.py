"""The RECORD of a wheel without the wheel: its zip is read from the end, by HTTP range requests or from disk."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    import requests

_TAIL = 1 << 16  # bytes; the end of the zip, and of most wheels the RECORD too
_MOST_FETCHED = 48 << 20  # bytes of one wheel; the directory of the largest known wheels is a thirtieth of it
_MOST_RECORD = 64 << 20  # bytes, unpacked
_TIMEOUT = (5, 20)  # seconds to connect, to wait for the next bytes
_THREAD = threading.local()


class Unreadable(Exception):
    """The RECORD cannot be had this way: no ranges, no zip, too much. Says nothing about the wheel."""


class Unreachable(Exception):
    """Nobody answers."""


class Peek:
    """What was seen of a wheel's end: its `size` in bytes, and the text of its RECORD."""

    def __init__(self, size: int, record: str) -> None:
        self.size = size
        self.record = record


def peek(url: str) -> Peek:
    """The RECORD of the wheel at `url` (``https:``, ``http:`` or ``file:``).

    Raises:
        Unreadable, Unreachable.
    """
    path = local_path(url)
    try:
        if path is not None:
            with path.open("rb") as local:
                return Peek(path.stat().st_size, _record(local))
        remote = _RemoteFile(url)
        return Peek(remote.size, _record(remote))
    except (OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise Unreadable(str(error)) from error


def metadata_beside(url: str) -> bytes | None:
    """The METADATA that an index serves beside the wheel at `url` (PEP 658), or None. Raises Unreachable."""
    if local_path(url) is not None:
        return None
    answer = _get(urlsplit(url)._replace(fragment="").geturl() + ".metadata", {})
    with answer:
        return _body(answer, 4 << 20) if answer.status_code == 200 else None


def local_path(url: str) -> Path | None:
    """The path of a ``file:`` URL, else None."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _record(file: io.IOBase | io.BufferedReader) -> str:
    with zipfile.ZipFile(file) as archive:
        found = [info for info in archive.infolist() if _is_record(info.filename)]
        if len(found) != 1 or found[0].file_size > _MOST_RECORD:
            raise Unreadable("it has no RECORD, several, or a huge one")
        if isinstance(file, _RemoteFile):
            file.prepare(found[0].header_offset, found[0].compress_size + 4096)
        with archive.open(found[0]) as record:
            text = record.read(_MOST_RECORD + 1)
    return text.decode("utf-8")


def _is_record(name: str) -> bool:
    folder, _, file = name.partition("/")
    return file == "RECORD" and folder.endswith(".dist-info")


class _RemoteFile(io.RawIOBase):
    """A file on a server that gives parts; what was fetched is kept."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)._replace(fragment="").geturl()
        self._at = 0
        self._fetched = 0
        self._parts: list[tuple[int, bytes]] = []
        answer = _get(self._url, {"Range": f"bytes=-{_TAIL}"})
        with answer:
            if answer.status_code == 206:
                start, self.size = _content_range(answer)
            elif answer.status_code == 200 and int(answer.headers.get("Content-Length", _MOST_FETCHED)) < _MOST_FETCHED:
                start = 0
            else:
                raise Unreadable(f"the server answers {answer.status_code} and gives no part of it")
            data = self._take(start, answer)
            if answer.status_code == 200:
                self.size = len(data)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset
        if self._at < 0:
            raise OSError("before the start")
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self._at + size, self.size)
        data = self._have(self._at, end)
        if data is None:
            data = self._fetch(self._at, end)[: end - self._at]
        self._at += len(data)
        return data

    def prepare(self, start: int, length: int) -> None:
        """Fetch ``start:start+length`` at once, unless it is there."""
        end = min(start + length, self.size)
        if self._have(start, end) is None:
            self._fetch(start, end)

    def _have(self, start: int, end: int) -> bytes | None:
        if start >= end:
            return b""
        for at, data in self._parts:
            if at <= start and end <= at + len(data):
                return data[start - at : end - at]
        return None

    def _fetch(self, start: int, end: int) -> bytes:
        answer = _get(self._url, {"Range": f"bytes={start}-{end - 1}"})
        with answer:
            if answer.status_code != 206 or _content_range(answer) != (start, self.size):
                raise Unreadable("the server gives another part than it was asked for")
            return self._take(start, answer)

    def _take(self, start: int, answer: requests.Response) -> bytes:
        data = _body(answer, _MOST_FETCHED - self._fetched)
        self._fetched += len(data)
        self._parts.append((start, data))
        return data


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    import requests  # takes a while, and a warm snapshot needs none

    session: requests.Session | None = getattr(_THREAD, "session", None)
    if session is None:
        session = _THREAD.session = requests.Session()  # one a thread: connections are used again
        own = os.environ.get("SSL_CERT_FILE", "")  # as uv does
        if own and Path(own).is_file():
            session.verify = own
    try:
        return session.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=_TIMEOUT, stream=True)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unreachable(str(error)) from error
    except (requests.RequestException, ValueError) as error:
        raise Unreadable(str(error)) from error


def _body(answer: requests.Response, most: int) -> bytes:
    import requests

    data = bytearray()
    try:
        for chunk in answer.iter_content(1 << 16):
            data += chunk
            if len(data) > most:
                raise Unreadable("there is more than a RECORD can need")
    except requests.RequestException as error:
        raise Unreachable(str(error)) from error
    return bytes(data)


def _content_range(answer: requests.Response) -> tuple[int, int]:
    """Where the part begins, and the size of the whole: ``bytes 10-19/20`` (RFC 9110)."""
    unit, _, said = answer.headers.get("Content-Range", "").partition(" ")
    span, _, size = said.partition("/")
    if unit != "bytes" or not size.isdecimal() or not span.partition("-")[0].isdecimal():
        raise Unreadable("the server does not say which part it gives")
    return int(span.partition("-")[0]), int(size)
