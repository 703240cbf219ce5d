"""The models and input files that a capsule's graph reads, put where its ComfyUI looks for them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from ..capsule import Capsule, Model, Vendored, sha256_bytes
from ..errors import BadInput, Cancelled, CapsuleError
from ..progress import Progress, Report
from ..together import Together
from .interface import ModelSource
from .model_sources import FolderModels, UrlModels, VendoredModels
from .model_store import ModelStore, link_or_copy
from .paths import place

_AT_ONCE = 3  # files; each is taken in several pieces at once


_NOTHING: Mapping[str, Vendored] = MappingProxyType({})


def model_sources(models_from: Sequence[Path], vendored: Mapping[str, Vendored] = _NOTHING) -> tuple[ModelSource, ...]:
    """Where models are looked for when the store does not have them: the capsule, the user's folders, the network.

    Raises:
        BadInput: ``no-models-folder``.
    """
    return (VendoredModels(vendored), FolderModels(models_from), UrlModels())


def place_models(
    models: Sequence[Model],
    root: Path,
    report: Report,
    *,
    under: str = "models",
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
    vendored: Mapping[str, Vendored] = _NOTHING,
) -> dict[str, Path]:
    """Put each of `models` at ``root/UNDER/FOLDER_TYPE/NAME``, out of the store, which is filled on the way.

    Args:
        root: a folder of ours, e.g. ComfyUI's; what lies in it may be a stranger's, links are not followed out of it.
        vendored: the capsule's own files, by entry.

    Returns:
        ``{sha256: path in the store}``.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``no-models-folder``.
        CapsuleError: ``model-missing``; ``models-missing`` when it is several, naming each.
    """
    targets = [place(root, f"{under}/{model.folder}/{model.name}") for model in models]
    found = obtain_models(models, store or ModelStore(), report, models_from=models_from, vendored=vendored)
    for model, target in zip(models, targets, strict=True):
        target.unlink(missing_ok=True)  # a checkout may bring a placeholder of that name
        link_or_copy(found[model.sha256], target)
    return found


def obtain_models(
    models: Sequence[Model],
    store: ModelStore,
    report: Report,
    *,
    models_from: Sequence[Path] = (),
    vendored: Mapping[str, Vendored] = _NOTHING,
) -> dict[str, Path]:
    """The files of `models` in `store`, by their sha256, several brought at once; each that fails is named.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``no-models-folder``.
        CapsuleError: ``model-missing``; ``models-missing`` when it is several; ``disk-full``, before a byte is.
    """
    wanted = {model.sha256: model for model in models}
    sources = model_sources(models_from, vendored)
    _require_space(store, [model for model in wanted.values() if not store.path(model).is_file()])
    failed: dict[str, CapsuleError] = {}
    work = Together(report, _AT_ONCE)

    def obtain(model: Model, tell: Report) -> Path | None:
        try:
            return store.obtain(model, sources, tell)
        except (BadInput, Cancelled):
            raise
        except CapsuleError as error:  # the others go on
            failed[model.sha256] = error
            return None

    started = {digest: work.start(partial(obtain, model)) for digest, model in wanted.items()}
    work.wait()
    missing = [failed[digest] for digest in wanted if digest in failed]
    if len(missing) == 1:
        raise missing[0]
    if missing:
        message = " ".join(error.message for error in missing)
        raise CapsuleError("models-missing", f"{len(missing)} models are missing. {message}", missing[0].cure)
    report(Progress(phase="models", done=len(wanted), total=len(wanted)))
    return {digest: path for digest, answer in started.items() if (path := answer.result())}


def _require_space(store: ModelStore, models: Sequence[Model]) -> None:
    """Say before a byte is fetched that they do not fit."""
    store.root.mkdir(parents=True, exist_ok=True)
    needed, free = sum(model.size for model in models), shutil.disk_usage(store.root).free
    if needed > free:
        raise CapsuleError(
            "disk-full",
            f"The models need {needed:,} bytes, and {store.root} has {free:,} left.",
            "Make room there, or name another folder.",
        )


def place_inputs(capsule: Capsule, root: Path, report: Report, *, under: str = "input") -> None:
    """Write the capsule's input files to ``root/UNDER/NAME``; `root` as in `place_models`.

    Raises:
        BadInput: ``capsule-unsafe-name``; ``capsule-damaged`` when an entry is not what the lock says.
    """
    inputs = capsule.lock.inputs
    for done, item in enumerate(inputs):
        report(Progress(phase="inputs", item=item.name, done=done, total=len(inputs)))
        data = capsule.files.get(f"inputs/{item.name}")
        if data is None or sha256_bytes(data) != item.sha256:
            message = f"The capsule's input file {item.name!r} is not the one that its lock names."
            raise BadInput("capsule-damaged", message, "Export the capsule again.")
        target = place(root, f"{under}/{item.name}")
        target.unlink(missing_ok=True)
        target.write_bytes(data)
    report(Progress(phase="inputs", done=len(inputs), total=len(inputs)))
