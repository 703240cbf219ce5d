"""The models and input files that a capsule's graph reads, put where its ComfyUI looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..capsule import Capsule, Model, sha256_bytes
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report
from .interface import ModelSource
from .model_sources import FolderModels, UrlModels
from .model_store import ModelStore, link_or_copy
from .paths import place


def model_sources(models_from: Sequence[Path]) -> tuple[ModelSource, ...]:
    """Where models are looked for when the store does not have them: the user's folders, then the network.

    Raises:
        BadInput: ``no-models-folder``.
    """
    return (FolderModels(models_from), UrlModels())


def place_models(
    models: Sequence[Model],
    root: Path,
    report: Report,
    *,
    under: str = "models",
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
) -> dict[str, Path]:
    """Put each of `models` at ``root/UNDER/FOLDER_TYPE/NAME``, out of the store, which is filled on the way.

    Args:
        root: a folder of ours, e.g. ComfyUI's; what lies in it may be a stranger's, links are not followed out of it.

    Returns:
        ``{sha256: path in the store}``.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``no-models-folder``.
        CapsuleError: ``model-missing``; ``models-missing`` when it is several, naming each.
    """
    store = store or ModelStore()
    sources = model_sources(models_from)
    missing: list[CapsuleError] = []
    found: dict[str, Path] = {}
    for done, model in enumerate(models):
        report(Progress(phase="models", item=model.name, done=done, total=len(models)))
        target = place(root, f"{under}/{model.folder}/{model.name}")
        try:
            found[model.sha256] = store.obtain(model, sources, report)
        except BadInput:
            raise
        except CapsuleError as error:
            missing.append(error)
            continue
        target.unlink(missing_ok=True)  # a checkout may bring a placeholder of that name
        link_or_copy(found[model.sha256], target)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        message = " ".join(error.message for error in missing)
        raise CapsuleError("models-missing", f"{len(missing)} models are missing. {message}", missing[0].cure)
    report(Progress(phase="models", done=len(models), total=len(models)))
    return found


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
