"""The carried bytes that hold what is surely a token or key: they cannot be changed, only told of."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping

from ..capsule import Finding
from ..secrets import has_token


def find_carried_secrets(files: Mapping[str, bytes]) -> list[Finding]:
    """A finding for each of the carried `files`, by entry name, that holds one. A bundle is not looked into.

    Inputs are left to whoever makes the capsule: in those a secret can be replaced.
    """
    carried = {name: data for name, data in files.items() if not name.startswith("inputs/")}
    return [secret_carried(name) for name, data in carried.items() if any(map(has_token, parts_of(name, data)))]


def parts_of(name: str, data: bytes) -> Iterator[bytes]:
    """The files in a carried tree or wheel, each by itself: in the middle of an archive nobody looks for a text."""
    if name.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tree:
            for member in tree:
                file = tree.extractfile(member) if member.isreg() else None
                yield file.read() if file else member.linkname.encode("utf-8", "surrogateescape")
    elif name.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            yield from (wheel.read(member) for member in wheel.infolist())
    elif not name.endswith(".bundle"):  # compressed: no text stands in it
        yield data


def secret_carried(name: str) -> Finding:
    """The carried entry `name` holds a secret."""
    return Finding(
        code="secret-carried",
        subject=name,
        message=f"The local files in {name} hold what looks like a secret; they are carried as they are.",
        cure="Take it out of the pack's files, and export again before you give the capsule to anybody.",
    )
