"""What a capsule's `pylock.toml` says beyond PEP 751, under ``[tool.comfy-capsule]``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .models import Frozen

#: In `PythonTool.changed` and `removed`: the files of no distribution.
NOBODY = "-"


class ChangedFile(Frozen):
    """One file that is not as its distribution's RECORD says, or of no distribution; its bytes are carried.

    Attributes:
        path: where it is: ``site-packages/…``, ``scripts/…`` or ``prefix/…``; its entry is ``python/files/PATH``.
        executable: whether its owner may run it.
    """

    path: str
    sha256: str
    size: int
    executable: bool = False

    @property
    def entry(self) -> str:
        """The name of the entry that holds its bytes."""
        return f"python/files/{self.path}"


class Editable(Frozen):
    """A distribution that is imported out of its source tree, which is the entry `tree`.

    Restored, the tree lies in the venv as ``src/NAME``.

    Attributes:
        paths: the folders of the tree that are on Python's path; ``.`` is the tree itself.
        modules: further modules by name, each with the folder or file of the tree that it is.
    """

    name: str
    tree: str
    sha256: str
    paths: tuple[str, ...] = ()
    modules: dict[str, str] = Field(default={})


class PythonTool(Frozen):
    """The table ``[tool.comfy-capsule]``.

    Attributes:
        unproved: ``name==version`` of what no file is known of.
        records: what was installed of each distribution, by normalized name: the digest of its RECORD, without what
            installers add.
        changed: by distribution; `NOBODY` for files of none.
        removed: the places of files that a RECORD names and that are not there, by distribution.
    """

    unproved: tuple[str, ...] = ()
    records: dict[str, str] = Field(default={})
    changed: dict[str, tuple[ChangedFile, ...]] = Field(default={})
    removed: dict[str, tuple[str, ...]] = Field(default={})
    editables: tuple[Editable, ...] = Field(default=())

    def as_toml(self) -> dict[str, Any]:
        """The table, without what it has nothing of; `unproved` always stands in it."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return {"unproved": list(self.unproved), **said}
