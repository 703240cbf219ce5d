"""A small file system, which fills at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(place: Path, mebibytes: int, *, lazily: bool = False) -> Iterator[Path]:
    """A file system of so many MiB at the new folder `place`. It takes root to mount one, as the container tests do.

    Args:
        lazily: whether something may still use it at the end.
    """
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", *(["--lazy"] if lazily else []), place], check=True)
