"""Asking Hugging Face and Civitai, when the user wants it, what they have under a model's sha256. Nothing is scraped.

Hugging Face says the sha256 of a large file as ``X-Linked-Etag``, and its commit as ``X-Repo-Commit``, to a HEAD of
its address (``huggingface_hub``, file_download.py get_hf_file_metadata). Civitai finds a file by
``GET /api/v1/model-versions/by-hash/SHA256`` (its REST API reference). Both were built against those descriptions.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, TypeVar
from urllib.parse import urljoin

from ...cache import Cache
from .addresses import CIVITAI, HUGGINGFACE, Candidate, clean_address, hub_file

_T = TypeVar("_T")
_TIMEOUT = (3.0, 8.0)  # seconds to connect, and for an answer
_AT_ONCE = 8
_LARGEST = 2 << 20  # bytes of an answer
_REDIRECTS = 3  # of a renamed repository
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LookUp:
    """Look-ups within bounds, their answers kept: what a hub says of a commit or a sha256 does not change.

    Args:
        huggingface, civitai: the services' addresses.
        seconds, requests: after so long, or so many, no further question is asked.

    Attributes:
        failed: how many questions got no answer, or were not asked any more.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        huggingface: str = HUGGINGFACE,
        civitai: str = CIVITAI,
        seconds: float = 30.0,
        requests: int = 500,
    ) -> None:
        self._cache = cache
        self._huggingface = huggingface
        self._civitai = civitai
        self._seconds = seconds
        self._left = requests
        self._end = 0.0
        self._lock = threading.Lock()
        self.failed = 0

    def ask(self, known: Mapping[str, Iterable[Candidate]]) -> dict[str, list[Candidate]]:
        """For each sha256 (hex) with its candidates: the candidates that the services answer with."""
        self._end = time.monotonic() + self._seconds
        hub = {url for each in known.values() for url in (item.url for item in each) if self._on_hub(url)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(hub, pool.map(self._hub_file, hub), strict=True))
            by_hash = dict(zip(known, pool.map(self._by_hash, known), strict=True))
        answers: dict[str, list[Candidate]] = {}
        for sha256, candidates in known.items():
            answers[sha256] = [] if (version := by_hash[sha256]) is None else [version]
            for item in candidates:
                if (said := found.get(item.url)) is not None:
                    answers[sha256] += [said] if said.sha256 == sha256 else [said._replace(url=item.url)]
        return answers

    def _on_hub(self, url: str) -> bool:
        return hub_file(url, self._huggingface) is not None

    def _hub_file(self, url: str) -> Candidate | None:
        """The file at the commit that the address leads to now, with the sha256 that the hub says."""
        file = hub_file(url, self._huggingface)
        said = self._kept("huggingface", url, lambda: self._head(url))
        if file is None or not said or not _SHA256.fullmatch(said["etag"]):
            return None
        address = file._replace(revision=said["commit"]).url(self._huggingface) if said["commit"] else url
        return Candidate(address, "huggingface", said["etag"])

    def _head(self, url: str) -> dict[str, str]:
        import requests

        plain = {"Accept-Encoding": "identity"}
        for _ in range(_REDIRECTS):
            answer = requests.head(url, timeout=_TIMEOUT, allow_redirects=False, headers=plain, auth=_nothing)
            etag = answer.headers.get("X-Linked-Etag", "")
            moved = urljoin(url, answer.headers.get("Location", ""))
            if etag or not answer.is_redirect or not moved.startswith(f"{self._huggingface}/"):
                break
            url = moved
        answer.raise_for_status()
        etag = etag.removeprefix("W/").strip('"').lower()
        return {"etag": etag, "commit": answer.headers.get("X-Repo-Commit", "")}

    def _by_hash(self, sha256: str) -> Candidate | None:
        said = self._kept("civitai", sha256, lambda: self._version(sha256))
        return Candidate(said["url"], "civitai", sha256) if said else None

    def _version(self, sha256: str) -> dict[str, str]:
        import requests

        url = f"{self._civitai}/api/v1/model-versions/by-hash/{sha256}"
        with requests.get(url, timeout=_TIMEOUT, stream=True, auth=_nothing) as answer:
            if answer.status_code == 404:
                return {}
            answer.raise_for_status()
            version = json.loads(answer.raw.read(_LARGEST, decode_content=True))
        files = version.get("files") if isinstance(version, dict) else None
        for file in files if isinstance(files, list) else ():
            hashes = file.get("hashes") if isinstance(file, dict) else None
            if isinstance(hashes, dict) and str(hashes.get("SHA256", "")).lower() == sha256:
                return {"url": address} if (address := clean_address(file.get("downloadUrl"))) else {}
        return {}

    def _kept(self, service: str, key: str, ask: Callable[[], dict[str, str]]) -> dict[str, str]:
        """The answer to one question; that there is none is kept for the day."""
        today = f"{key} {date.today()}"
        for kept in self._cache.get(service, [key, today]).values():
            return dict(json.loads(kept))
        answer = self._asked(ask)
        if answer is not None:
            self._cache.put(service, {key if answer else today: json.dumps(answer)})
        return answer or {}

    def _asked(self, ask: Callable[[], _T]) -> _T | None:
        import requests

        with self._lock:
            self._left -= 1
            if self._left < 0 or time.monotonic() > self._end:
                self.failed += 1
                return None
        try:
            return ask()
        except (requests.RequestException, OSError, ValueError):
            with self._lock:
                self.failed += 1
            return None


def _nothing(request: Any) -> Any:
    """No authentication: without this, a password that a .netrc has for the host would be sent."""
    return request
