"""The model files of capsules in a folder that several machines or containers may share: listed, brought, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict

from .capsule import Capsule, Model, Vendored
from .command import without_credentials
from .materialise import ModelStore, as_model, obtain_models, used_files
from .progress import Report

State = Literal["here", "missing", "damaged"]


class ModelFile(BaseModel):
    """One model that capsules need. `path` is where it lies, or would lie; `sources` are addresses that have it."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    sha256: str
    state: State
    path: str
    sources: tuple[str, ...]


def needed_models(capsules: Sequence[Capsule]) -> tuple[Model, ...]:
    """The models of `capsules`, and the large files that a traced run opened; each content once."""
    found: dict[str, Model] = {}
    for capsule in capsules:
        large = (as_model(item) for item in used_files(capsule, "all") if not item.carried)
        for model in (*capsule.lock.models, *large):
            found.setdefault(model.sha256, model)
    return tuple(found.values())


def list_models(models: Sequence[Model], store: ModelStore) -> tuple[ModelFile, ...]:
    """Which of `models` lie in `store`; not read, so one with other bytes counts as here."""
    return tuple(_file(model, store, "here" if store.path(model).is_file() else "missing") for model in models)


def pull_models(
    models: Sequence[Model],
    store: ModelStore,
    report: Report,
    models_from: Sequence[Path] = (),
    vendored: Mapping[str, Vendored] = MappingProxyType({}),
) -> tuple[ModelFile, ...]:
    """Bring those of `models` into `store` that are not there. Safe beside others that do the same.

    Args:
        vendored: what the capsules themselves hold, by entry.

    Raises:
        CapsuleError: as `obtain_models`.
    """
    obtain_models(models, store, report, models_from=models_from, vendored=vendored)
    return list_models(models, store)


def verify_models(models: Sequence[Model], store: ModelStore, report: Report) -> tuple[ModelFile, ...]:
    """Read every byte of `models` in `store`. What is damaged stays: a pull brings it anew."""
    return tuple(_file(model, store, store.check(model, report)) for model in models)


def _file(model: Model, store: ModelStore, state: State) -> ModelFile:
    return ModelFile(
        name=f"{model.folder}/{model.name}",
        size=model.size,
        sha256=model.sha256,
        state=state,
        path=str(store.path(model)),
        sources=tuple(without_credentials(source.url) for source in model.sources),
    )
