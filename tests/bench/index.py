"""A package index of our own on loopback (PEP 503), and small wheels to put on it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

from .web import serving_http

if TYPE_CHECKING:
    import pytest


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str] | None = None,
    entry: str = "",
    tag: str = "py3-none-any",
    requires: str = "",
) -> Path:
    """The wheel of a distribution with a module of its name, or with `files`; `entry` is a line of console_scripts."""
    base = f"{name.replace('-', '_')}-{version}"
    content = dict(files or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"})
    content[f"{base}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if requires:
        content[f"{base}.dist-info/METADATA"] += f"Requires-Dist: {requires}\n"
    content[f"{base}.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n" + f"Tag: {tag}\n"
    if entry:
        content[f"{base}.dist-info/entry_points.txt"] = f"[console_scripts]\n{entry}\n"
    record = "".join(f"{path},{_digest(text.encode())},{len(text.encode())}\n" for path, text in content.items())
    content[f"{base}.dist-info/RECORD"] = record + f"{base}.dist-info/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{base}-{tag}.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return made


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class PackageIndex:
    """The wheels in `folder`, served.

    Attributes:
        address: of the index, as a client takes it.
        asked: what was asked for: ``simple/NAME`` or a file name, with ``[part]`` when a range was.
        ranges: whether it gives parts of a file.
        metadata: what it serves beside its files, by their names (PEP 658).
        password: when set, what it wants by basic authentication from the user ``me``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.ranges = True
        self.password = ""
        self.address = ""
        self.metadata: dict[str, bytes] = {}

    def page(self, name: str) -> bytes:
        """The links to the files of `name`."""
        found = [path for path in sorted(self.folder.iterdir()) if path.name.replace("_", "-").startswith(f"{name}-")]
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
        links = (f'<a href="/files/{name}#sha256={digest}">{name}</a>' for name, digest in digests.items())
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index: PackageIndex = self.server.index  # type: ignore[attr-defined]
        wanted = base64.b64encode(f"me:{index.password}".encode()).decode()
        if index.password and self.headers.get("Authorization") != f"Basic {wanted}":
            return self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        kind, _, name = self.path.strip("/").partition("/")
        part = self.headers.get("Range", "")
        index.asked.append(f"{name}{'[part]' if part else ''}" if kind == "files" else f"{kind}/{name}")
        if kind == "simple":
            page = index.page(name)
            return self._answer(200 if b"href" in page else 404, page, {"Content-Type": "text/html"})
        if name.removesuffix(".metadata") in index.metadata and name.endswith(".metadata"):
            return self._answer(200, index.metadata[name.removesuffix(".metadata")])
        file = index.folder / name
        if kind != "files" or not file.is_file():
            return self._answer(404, b"")
        data = file.read_bytes()
        if not (part and index.ranges):
            return self._answer(200, data)
        first, _, last = part.removeprefix("bytes=").partition("-")
        start, end = (
            (int(first), int(last or len(data) - 1)) if first else (max(0, len(data) - int(last)), len(data) - 1)
        )
        end = min(end, len(data) - 1)
        return self._answer(206, data[start : end + 1], {"Content-Range": f"bytes {start}-{end}/{len(data)}"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def default_index(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index in `folder` that uv asks, and no other, with a cache of its own there."""
    environment.setenv("UV_CACHE_DIR", str(folder / "uv"))
    environment.setenv("UV_HTTP_RETRIES", "0")
    with serving_index(folder / "index") as served:
        environment.setenv("UV_DEFAULT_INDEX", served.address)
        yield served


@contextmanager
def serving_index(folder: Path, address: str = "127.0.0.1") -> Iterator[PackageIndex]:
    """Serve the wheels in `folder`; it may be filled later."""
    folder.mkdir(parents=True, exist_ok=True)
    index = PackageIndex(folder)
    with serving_http(_Handler, address) as server:
        index.address = f"http://127.0.0.1:{server.server_port}/simple"
        server.index = index  # type: ignore[attr-defined]
        yield index
