"""Where the bytes of models lie on this machine: they are read from there, and copied nowhere but into the capsule."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..capsule import Model
from ..digest_cache import sha256_files
from ..errors import BadInput
from ..materialise import ModelStore
from ..progress import Report


def models_here(models: Sequence[Model], store: ModelStore, folders: Sequence[Path], report: Report) -> dict[str, Path]:
    """The files with the content of `models`, by sha256: in `store`, or in `folders`, whose digests are remembered.

    Raises:
        BadInput: ``no-models-folder``.
    """
    found = {model.sha256: path for model in models if (path := store.find(model, report)) is not None}
    left = {model.size: set[str]() for model in models if model.sha256 not in found}
    for model in models:
        if model.size in left:
            left[model.size].add(model.sha256)
    alike = _of_sizes(folders, left) if left else []
    for path, hashed in sha256_files(alike, report, phase="models").items():
        if not hashed.error and hashed.sha256 in left[hashed.state.size]:
            found.setdefault(hashed.sha256, path)
    return found


def _of_sizes(folders: Sequence[Path], sizes: dict[int, set[str]]) -> list[Path]:
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise BadInput("no-models-folder", f"There is no folder {folder}.", "Check --models-from.")
        for base, _, names in os.walk(folder, followlinks=True):
            paths = (Path(base, name) for name in sorted(names))
            found += [path for path in paths if path.is_file() and path.stat().st_size in sizes]
    return found
