"""Our Dockerfile as podman builds it: in two goes, of which the second has no network.

What buildah 1.28 (podman 4.3) lacks of BuildKit, and what is done about each:

- ``RUN --network=none`` it refuses: so what comes after the environment is a Dockerfile of its own, all of which is
  built without a network;
- ``COPY --link`` it refuses: left out, as it changes how layers are cached and nothing in them;
- what is mounted into a RUN is no part of its cache's key, so a changed lock would give the old environment: each such
  RUN begins with the digest of what it mounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..capsule import sha256_bytes, tree_digest

_LAST = "environment"  # the stage that the first go ends with
_FROM = re.compile(r"^FROM (\S+)(?: AS (\S+))?$", re.MULTILINE)
_RUN = re.compile(r"^RUN ((?:--\S+\s+(?:\\\n\s*)?)+)", re.MULTILINE)
_BIND = re.compile(r"--mount=type=bind,(\S+)")


def first_go(text: str, context: Path) -> str:
    """Of the Dockerfile `text` of the folder `context` all up to the environment, which needs a network."""
    return _derived(text[: _cut(text)], context)


def second_go(text: str, context: Path, environment: str) -> str:
    """All that comes after it; `environment` is the image that the first go has made."""
    return _derived(f"FROM {environment} AS {_LAST}\n\n{text[_cut(text) :]}", context)


def _cut(text: str) -> int:
    """Where the stage after the environment begins, with the comment above it."""
    stages = list(_FROM.finditer(text))
    last = [stage[2] for stage in stages].index(_LAST)
    start = stages[last + 1].start()
    return text.rindex("\n\n", 0, start) + 2


def _derived(text: str, context: Path) -> str:
    starts = [found.start() for found in _FROM.finditer(text)]
    stages = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    keys: dict[str, str] = {}
    written = [text[: starts[0]]]
    for stage in stages:
        found = _FROM.match(stage)
        assert found is not None
        parent, name = found.groups()
        # What it copies need not be told: whoever mounts from a stage has the same one below it.
        said = [stage, keys.get(parent, "")]

        def with_digest(run: re.Match[str], said: list[str] = said) -> str:
            flags = run[1].replace("--network=none ", "")
            mounted = [_mounted(bind, context, keys) for bind in _BIND.findall(flags)]
            if not mounted:
                return f"RUN {flags}"
            said += mounted
            return f"RUN {flags}: {sha256_bytes(' '.join(mounted).encode())[:32]} && "

        written.append(_RUN.sub(with_digest, stage))
        if name:
            keys[name] = sha256_bytes("\n".join(said).encode())
    return re.sub(r"^COPY --link ", "COPY ", "".join(written), flags=re.MULTILINE)


def _mounted(bind: str, context: Path, keys: Mapping[str, str]) -> str:
    """What stands for the content of a mount: its stage's key, or the digest of the context's folder."""
    words = dict(word.split("=", 1) for word in bind.split(","))
    if "from" in words:
        return keys[words["from"]]
    folder = context / words["source"]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return tree_digest(folder, names)
