"""What other programs left beside a model file about where it came from. All of it is read as data, nothing is trusted.

``NAME.civitai.info``, ``NAME.metadata.json``, ``NAME.cm-info.json`` and ``NAME.json`` are written by the managers of
Civitai models; the Hugging Face client keeps its cache's layout (``models--OWNER--NAME/snapshots/COMMIT/FILE`` linked
to ``blobs/ETAG``) and, in a folder of the user's own, ``.cache/huggingface/download/FILE.metadata`` (commit, etag,
time, a line each). The etag of a large file is its sha256.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .addresses import CIVITAI, Candidate, HubFile, clean_address, hub_file
from .folders import listed_in

_ENDINGS = (".civitai.info", ".metadata.json", ".cm-info.json", ".json")
_LARGEST = 4 << 20  # bytes; the largest seen, with all its pictures' prompts, has 0.3 MB
_DEEPEST, _MOST = 12, 20_000  # of a side file: nesting, objects
_DOWNLOADS = ("downloadUrl", "download_url", "downloadURL")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CACHED = re.compile(
    r"/models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/(?:snapshots/(?P<commit>[0-9a-f]{40})/(?P<file>.+)|blobs/(?P<blob>[^/]+))$"
)


class SideFiles:
    """What lies beside models; each folder is looked into once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._real: dict[Path, str] = {}

    def beside(self, path: Path) -> Iterator[Candidate]:
        """What the side files of the model at `path` say; beside the link and beside the file that it leads to."""
        for place in (path, path.resolve()) if path.is_symlink() else (path,):
            names = self._inside(str(place.parent))
            for start in (place.stem, place.name):
                for ending in _ENDINGS:
                    if start + ending in names and (said := _read(place.with_name(start + ending))) is not None:
                        yield from _claims(said)

    def from_hub_cache(self, path: Path) -> Iterator[Candidate]:
        """The repository's file that `path` is, or leads to, in a cache of the Hugging Face client."""
        for step in self._steps(path):
            found = _CACHED.search(step)
            if found is None:
                continue
            repository = f"{found['owner']}/{found['name']}"
            etag = path.resolve().name
            sha256 = etag if _SHA256.fullmatch(etag) else ""
            if found["commit"]:
                yield Candidate(HubFile(repository, found["commit"], found["file"]).url(), "huggingface-cache", sha256)
            else:
                for commit, file in _linked(Path(step)):
                    yield Candidate(HubFile(repository, commit, file).url(), "huggingface-cache", sha256)

    def _inside(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            self._names[folder] = frozenset(listed_in(Path(folder)))
        return self._names[folder]

    def _steps(self, path: Path) -> Iterator[str]:
        """`path`, and each place on the way where its links lead; the folders without links in them."""
        for _ in range(20):
            if path.parent not in self._real:
                self._real[path.parent] = Path(os.path.realpath(path.parent)).as_posix()
            step = f"{self._real[path.parent]}/{path.name}"
            yield step
            if not os.path.islink(step):
                return
            path = Path(os.path.dirname(step), os.readlink(step))


def pinned(path: Path, known: str) -> Candidate | None:
    """The address `known` at the commit from which the Hugging Face client fetched `path`; None if it did not."""
    file = hub_file(known)
    if file is None:
        return None
    for above in list(path.parents)[:6]:
        note = above / ".cache" / "huggingface" / "download" / f"{path.relative_to(above)}.metadata"
        lines = (_text(note, 4096) or "").splitlines()
        if len(lines) >= 2 and re.fullmatch(r"[0-9a-f]{40}", lines[0].strip()):
            return Candidate(file._replace(revision=lines[0].strip()).url(), "huggingface-cache")
    return None


def _read(path: Path) -> Any:
    """The JSON in `path`; None when it is none, too large, or no plain file."""
    text = _text(path, _LARGEST)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(path: Path, largest: int) -> str | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            return None
        return path.read_bytes().decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return None


def _claims(said: Any) -> list[Candidate]:
    """Every address of a download in a side file, with the sha256 that stands beside it or elsewhere for it."""
    claimed: dict[str, str] = {}
    for entry in _objects(said):
        url = next((url for key in _DOWNLOADS if (url := clean_address(entry.get(key)))), "")
        version = entry.get("VersionId") or (entry.get("id") if "modelId" in entry else None)
        if not url and isinstance(version, int) and version > 0:
            url = f"{CIVITAI}/api/download/models/{version}"
        if url:
            claimed[url] = _sha256(entry) or claimed.get(url, "")
    return [Candidate(url, "side-file", sha256) for url, sha256 in claimed.items()]


def _sha256(entry: dict[str, Any]) -> str:
    hashes = entry.get("hashes") or entry.get("Hashes")
    for place in (hashes if isinstance(hashes, dict) else {}, entry):
        for key in ("SHA256", "sha256"):
            if isinstance(place.get(key), str) and _SHA256.fullmatch(place[key]):
                return str(place[key]).lower()
    return ""


def _objects(said: Any) -> Iterator[dict[str, Any]]:
    """Every object in `said`, outermost first, within bounds."""
    left, level = _MOST, [said]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            left -= 1
            if left < 0:
                return
            if isinstance(item, dict):
                yield item
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner


def _linked(blob: Path) -> Iterator[tuple[str, str]]:
    """(commit, file) of what in the cache's snapshots is linked to `blob`."""
    snapshots = blob.parent.parent / "snapshots"
    for count, link in enumerate(sorted(snapshots.glob("*/**/*"))):
        if count > 5000:
            return
        if link.is_symlink() and os.path.basename(os.readlink(link)) == blob.name:
            inside = link.relative_to(snapshots)
            yield inside.parts[0], "/".join(inside.parts[1:])
            return
