"""A git folder of our own over a checkout's files: neither the checkout's nor the user's settings hold in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...capsule import AS_CHECKED_OUT, AS_STORED, GIT, GIT_ENVIRONMENT, LINE_ENDS, git
from ...command import run_bytes


@dataclass(frozen=True)
class Scratch:
    """``git`` with the objects and files of `folder`, and an index, configuration and attributes of its own."""

    folder: Path
    place: Path

    def git(self, *words: str, stdin: bytes | None = None, line_ends: str | None = None) -> bytes:
        """The output of ``git WORDS``; bytes stay as they are, unless `line_ends` says what git makes of them."""
        attributes = AS_STORED if line_ends is None else AS_CHECKED_OUT
        (self.place / "info/attributes").write_text(attributes)
        environment = {
            **GIT_ENVIRONMENT,
            "GIT_DIR": str(self.place),
            "GIT_WORK_TREE": str(self.folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        return run_bytes([*GIT, *LINE_ENDS[line_ends or ""], *words], cwd=self.folder, env=environment, stdin=stdin)


@contextmanager
def scratch_of(folder: Path, commit: str) -> Iterator[Scratch]:
    """A `Scratch` whose HEAD and index are `commit` of the checkout at `folder`; it is gone after the block."""
    common = os.fsdecode(git(folder, "rev-parse", "--git-common-dir").rstrip(b"\n"))
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-") as temporary:
        place = Path(temporary, "git")
        for name in ("objects/info", "refs/heads", "info"):
            (place / name).mkdir(parents=True)
        (place / "objects/info/alternates").write_bytes(os.fsencode((folder / common).resolve() / "objects") + b"\n")
        (place / "HEAD").write_text(f"{commit}\n")
        (place / "config").write_text(_CONFIG[len(commit)])
        scratch = Scratch(folder, place)
        scratch.git("read-tree", commit)
        yield scratch


# By the length of a commit's name: SHA-1, or SHA-256 (git's hash-function-transition document).
_CONFIG = {
    40: "[core]\n\trepositoryformatversion = 0\n\tbare = false\n",
    64: "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectFormat = sha256\n",
}
