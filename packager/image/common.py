"""What every engine's implementation shares: why a build failed, how old an engine may be, files for a volume."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping

from ..errors import BadInput, CapsuleError
from .layout import LABEL

RUN_LABEL = f"{LABEL}run"  # of the containers that we start
STATE = "/state"

KEPT_LINES = 40  # of what a step printed, for the sentence when it fails
LONGEST_LINE = 65536  # bytes

_USER = 1000  # of our images
_LOST = "layer does not exist"  # Docker's, after a prune at a bad moment: https://github.com/moby/moby/issues/41595
_FULL = "no space left on device"  # strerror(ENOSPC), as programs say it, in any case


def step_failed(name: str, said: str, error: str) -> CapsuleError:
    """Why the step `name` of a build failed.

    Args:
        said: the end of what it printed.
        error: what the engine says of it.
    """
    if name.startswith("proof"):
        return CapsuleError(
            "proof-failed",
            f"The image is not what was captured: {said or error}",
            "Nothing was tagged. Capture the workflow again, or build without the proof.",
        )
    if is_full(f"{said} {error}"):
        return disk_full(f"the step `{name}` ended with it")
    if _LOST in error:
        message = f"The build cache of the engine names a layer that the engine has no more (`{name}`: {error})."
        return CapsuleError(
            "engine-cache-broken", message, "Empty it with `docker builder prune --all`, and build again."
        )
    cure = "Look at the end of its output above."
    return CapsuleError("build-failed", f"The step `{name}` failed: {said or error}", cure)


def is_full(said: str) -> bool:
    """Whether somebody says that there is no room."""
    return _FULL in said.lower()


def disk_full(where: str) -> CapsuleError:
    """The engine has no room."""
    message = f"The disk of the engine is full: {where}. Nothing was tagged."
    cure = "Make room there, with `docker builder prune` or `podman image prune`, and build again."
    return CapsuleError("disk-full", message, cure)


def files_archive(files: Mapping[str, bytes]) -> bytes:
    """`files` as an archive: readable for the image's own user, and for nobody else."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name).replace(mode=0o400, uid=_USER, gid=0)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return written.getvalue()


def require_version(what: str, said: str, oldest: tuple[int, int]) -> None:
    """Refuse what is older than `oldest`; a version without numbers is a developer's own.

    Raises:
        BadInput: ``engine-too-old``.
    """
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < oldest:
        wanted = ".".join(str(number) for number in oldest)
        raise BadInput("engine-too-old", f"{what} {found[0]} is too old: {wanted} is needed.", f"Update {what}.")
