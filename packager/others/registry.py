"""A pack of the Comfy registry, by id and version, out of the registry that the user names."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from urllib.parse import quote

import requests

from ..errors import BadInput, CapsuleError
from ..materialise import place
from ..strict_json import loads
from .zips import Limits, read_zip

_LIMITS = Limits(files=50_000, size=1 << 30)
_ANSWER = 4 << 20  # bytes of the registry's JSON
_ARCHIVE = 512 << 20  # bytes
_CHUNK = 1 << 20
_TIMEOUT = (20, 60)  # seconds to connect, and between two pieces
_IDENTITY = re.compile(r"[A-Za-z0-9][\w.-]{0,99}@[0-9][\w.+-]{0,99}\Z")


def fetch_archive(registry: str, identity: str, into: Path) -> None:
    """Unpack the pack `identity` (``ID@VERSION``) into the new folder `into`, as ComfyUI-Manager does.

    Asked as ComfyUI-Manager 3.41 asks (``cnr_utils.py`` install_node): ``GET nodes/ID/install?version=VERSION`` names
    the ``downloadUrl`` of a zip. Its list of files is left beside them in ``.tracking``. Nothing of it is run.

    Raises:
        BadInput: for an archive that is unsafe or too large, as `read_zip`.
        CapsuleError: ``registry-failed``, when it has no such version or cannot be reached.
    """
    if not _IDENTITY.match(identity):
        raise BadInput("others-unreadable", f"{identity!r} is no pack of the registry.", "Correct its id and version.")
    name, _, version = identity.partition("@")
    try:
        answer = _bytes(f"{registry.rstrip('/')}/nodes/{quote(name)}/install", _ANSWER, {"version": version})
        address = loads(answer.decode()).get("downloadUrl")
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise CapsuleError("registry-failed", f"It names no archive of {identity}.")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"{name}.zip")
            file.write_bytes(_bytes(address, _ARCHIVE, {}))
            files = dict(read_zip(file, _LIMITS))
    except (requests.RequestException, ValueError, AttributeError, RecursionError) as error:
        raise CapsuleError(
            "registry-failed", f"It gave no answer that can be used ({type(error).__name__})."
        ) from error
    for path, data in files.items():
        place(into, path).write_bytes(data)
    (into / ".tracking").write_text("\n".join(files), encoding="utf-8")


def _bytes(address: str, limit: int, query: dict[str, str]) -> bytes:
    with requests.get(address, params=query, timeout=_TIMEOUT, stream=True) as answer:
        if not answer.ok:
            raise CapsuleError("registry-failed", f"It answered {answer.status_code}.")
        data = b""
        for chunk in answer.iter_content(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise CapsuleError("registry-failed", f"It gave more than {limit >> 20} MiB.")
        return data
