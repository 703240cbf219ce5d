"""The sha256 of files, known from an earlier run where the file is the one that was read then.

A digest is kept by the file's path, size, mtime (ns), inode and device, in the `Cache` of this user. It is kept
only when the file had been at rest for two seconds when its reading began (`Hashed.settled`), so a file that is
written twice within one tick of the file system's clock is never taken for what it was.

What comfy-pack and comfy-cli remember of the very file is taken over, see `others_digests`; `verify_digests` reads it
again like the rest. Digests that other programs leave beside a file are not believed: a ``model.safetensors.sha256``,
the hash in a ``.civitai.info`` or ``.metadata.json``, and the name of a blob in the Hugging Face cache (its downloader
compares sizes, not hashes) say what the file was meant to be, and nothing ties them to the bytes that lie there now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from .cache import Cache
from .errors import CapsuleError
from .hashing import Hashed, State, hash_files, printable, state_of
from .others_digests import digests_of_others
from .progress import Progress, Report, silent

_KIND = "sha256"


class Checked(BaseModel):
    """What `verify_digests` found.

    `right` counts digests that are those of the file still; `outdated` those whose file has changed since, which are
    dropped; `absent` those whose file is not there now, e.g. on a disk that is not mounted.
    """

    model_config = ConfigDict(frozen=True)

    right: int
    outdated: int
    absent: int
    wrong: tuple[WrongDigest, ...]


class WrongDigest(BaseModel):
    """A file with other bytes than its cached digest says, though its stat says it is the same; or an unreadable one.

    `found` is empty where the file could not be read, and `reason` says why.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    cached: str
    found: str
    reason: str = ""


def sha256_files(
    paths: Sequence[Path], report: Report = silent, *, phase: str = "hash", cache: Cache | None = None
) -> dict[Path, Hashed]:
    """The sha256 of each of `paths`, links followed; what is not known is hashed, in parallel.

    Args:
        report, phase: as for `hash_files`; the bytes it counts are those that must be read.
        cache: this user's own when not given.
    """
    folders, real = _Folders(), dict[Path, str]()  # one file may be reached by several paths
    states, done = dict[str, State](), dict[Path, Hashed]()
    for path in dict.fromkeys(paths):
        try:
            state = state_of(path)
        except CapsuleError as error:
            done[path] = Hashed(error=error)
            continue
        real[path] = folders.real(path)
        states[real[path]] = state
    found = sha256_of(states, report, phase=phase, cache=cache)
    return done | {path: found[name] for path, name in real.items()}


def sha256_of(
    states: Mapping[str, State], report: Report = silent, *, phase: str = "hash", cache: Cache | None = None
) -> dict[str, Hashed]:
    """As `sha256_files`, of files whose states the caller has looked at just now: by path, none looked at again."""
    keys = {path: _key(path, state) for path, state in states.items()}
    with _opened(cache) as answers:
        known = answers.get(_KIND, keys.values())
        found = {path: Hashed(known[key], states[path], True) for path, key in keys.items() if key in known}
        others = digests_of_others({path: states[path] for path in states if path not in found})
        answers.put(_KIND, {keys[path]: digest for path, digest in others.items()})
        found |= {path: Hashed(digest, states[path], True) for path, digest in others.items()}
        unknown = [Path(path) for path in states if path not in found]
        if unknown:
            hashed = {str(path): item for path, item in hash_files(unknown, report, phase=phase).items()}
            answers.put(_KIND, {_key(path, item.state): item.sha256 for path, item in hashed.items() if item.settled})
            found |= hashed
        else:
            report(Progress(phase=phase, done=len(states), total=len(states)))
    return found


def verify_digests(report: Report = silent, cache: Cache | None = None) -> Checked:
    """Hash every file whose digest is cached and whose stat is still the same, and drop what is wrong or outdated."""
    with _opened(cache) as answers:
        said = answers.all(_KIND)
        places: dict[Path, str] = {}
        outdated, absent = [], 0
        for key in said:
            found = _parsed(key)
            if found is None:
                outdated.append(key)
                continue
            path, state = found
            try:
                if state_of(path) == state:
                    places[path] = key
                else:
                    outdated.append(key)
            except CapsuleError:
                absent += 1
        wrong: dict[str, WrongDigest] = {}
        hashed = hash_files(list(places), report, phase="verify")
        for path, item in hashed.items():
            key = places[path]
            if item.sha256 != said[key]:
                reason = printable(item.error.message) if item.error else ""
                wrong[key] = WrongDigest(path=printable(path), cached=said[key], found=item.sha256, reason=reason)
        answers.forget(_KIND, [*outdated, *wrong])
    right = len(places) - len(wrong)
    shown = tuple(sorted(wrong.values(), key=lambda item: item.path))
    return Checked(right=right, outdated=len(outdated), absent=absent, wrong=shown)


def clear_digests(cache: Cache | None = None) -> int:
    """Forget every cached digest; how many there were."""
    with _opened(cache) as answers:
        keys = list(answers.all(_KIND))
        answers.forget(_KIND, keys)
    return len(keys)


class _Folders:
    """Real paths; a folder's is asked for once."""

    def __init__(self) -> None:
        self._folders: dict[Path, str] = {}

    def real(self, path: Path) -> str:
        """The path of the file itself."""
        if path.is_symlink():
            return os.path.realpath(path)
        folder = self._folders.get(path.parent)
        if folder is None:
            folder = self._folders[path.parent] = os.path.realpath(path.parent)
        return os.path.join(folder, path.name)


def _key(path: str, state: State) -> str:
    """JSON, which keeps names that are no Unicode."""
    return f"[{json.dumps(path)}, {state.size}, {state.mtime_ns}, {state.inode}, {state.device}]"


def _parsed(key: str) -> tuple[Path, State] | None:
    try:
        path, *numbers = json.loads(key)
        return Path(path), State(*numbers)
    except (ValueError, TypeError):
        return None


@contextmanager
def _opened(cache: Cache | None) -> Iterator[Cache]:
    if cache is not None:
        yield cache
        return
    own = Cache()
    try:
        yield own
    finally:
        own.close()
