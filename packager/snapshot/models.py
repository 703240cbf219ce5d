"""The model files that a graph uses: found by asking which inputs list the files of which models folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..capsule import ApiGraph, Finding, Model
from ..comfy import Install
from ..command import without_credentials
from ..digest_cache import sha256_files
from ..errors import CapsuleError
from ..hashing import printable
from ..progress import Report
from ..workflow import file_choices

_MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx", ".pkl")
_PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


class Models(BaseModel):
    """The models, and what stands against reproducing them."""

    model_config = ConfigDict(frozen=True)

    models: tuple[Model, ...]
    findings: tuple[Finding, ...]


def read_models(
    install: Install, graph: ApiGraph, ui: Mapping[str, Any], object_info: Mapping[str, Any], report: Report
) -> Models:
    """The models that `graph` uses, with size and sha256, sorted by folder and name."""
    found: dict[tuple[str, str], Path] = {}
    findings: list[Finding] = []
    for choice in file_choices(graph, object_info):
        if choice.upload or not isinstance(choice.value, str):
            continue  # a file of the input folder, or no file at all
        value = slashed(choice.value)
        folder = _folder_of(install, value, frozenset(slashed(str(option)) for option in choice.options))
        if folder:
            found[folder, value] = _locate(install, folder, value) or Path()
        elif value.lower().endswith(_MODEL_FILES):
            findings.append(_missing(value, choice.node))
    sources = declared_sources(ui)
    hashed = sha256_files(list(found.values()), report, phase="models")
    models = []
    for (folder, value), path in sorted(found.items()):
        digest = hashed[path]
        if digest.error is not None:
            findings.append(_unread(value, path, digest.error))
            continue
        models.append(
            Model(
                folder=folder,
                name=value,
                size=digest.state.size,
                sha256=digest.sha256,
                sources=sources.get((folder, value), ()),
            )
        )
    findings.extend(_doubts(model) for model in models if model.name.lower().endswith(_PICKLES))
    findings.extend(_without_source(model) for model in models if not model.sources)
    return Models(models=tuple(models), findings=tuple(findings))


def slashed(name: str) -> str:
    """A model's name with ``/``: on Windows a node sees ``\\``."""
    return name.replace("\\", "/")


def listing(install: Install, folder: str) -> Iterator[str]:
    """The files of the models folder type `folder`, relative with ``/``, links followed as ComfyUI does."""
    for root in install.model_folders.get(folder, ()):
        for base, _, files in os.walk(root, followlinks=True):
            here = Path(base).relative_to(root)
            yield from ((here / name).as_posix() for name in files)


def _folder_of(install: Install, value: str, options: frozenset[str]) -> str:
    """The folder type that lists `value`; of several, the one whose listing is nearest to the input's options."""
    holding = [folder for folder in install.model_folders if _locate(install, folder, value)]
    if len(holding) <= 1:
        return holding[0] if holding else ""
    return min(holding, key=lambda folder: (len(options.symmetric_difference(listing(install, folder))), folder))


def _locate(install: Install, folder: str, name: str) -> Path | None:
    if not name or name.startswith("/") or ".." in name.split("/"):
        return None
    for root in install.model_folders.get(folder, ()):
        if (root / name).is_file():
            return root / name
    return None


def declared_sources(ui: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The URLs that the workflow's nodes declare (``properties.models``), by folder and name; none is proved."""
    sources: dict[tuple[str, str], tuple[str, ...]] = {}
    graphs = [ui, *_objects(_object(ui.get("definitions")).get("subgraphs"))]
    for node in (node for graph in graphs for node in _objects(graph.get("nodes"))):
        for model in _objects(_object(node.get("properties")).get("models")):
            if model.get("url"):
                key = (str(model.get("directory", "")), str(model.get("name", "")))
                url = without_credentials(str(model["url"]))
                sources[key] = tuple(dict.fromkeys([*sources.get(key, ()), url]))
    return sources


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _objects(said: Any) -> list[Mapping[str, Any]]:
    """The objects in a list of the UI graph, which any program may have written."""
    return [item for item in said if isinstance(item, Mapping)] if isinstance(said, list) else []


def _missing(value: str, node: str) -> Finding:
    return Finding(
        code="model-missing",
        subject=value,
        message=f"Node {node} names the model {value}, which is in no models folder.",
        cure="Put the file into ComfyUI's models folder, or choose another model.",
        blocks=True,
    )


def _unread(value: str, path: Path, error: CapsuleError) -> Finding:
    """`error` of the file at `path`, without where it lies on this machine."""
    message = error.message.replace(printable(path), value)
    if error.code == "file-changing":
        return Finding(code="file-changing", subject=value, message=message, cure=error.cure, blocks=True)
    return Finding(code="model-unreadable", subject=value, message=message, cure=error.cure, blocks=True)


def _doubts(model: Model) -> Finding:
    return Finding(
        code="pickle-model",
        subject=model.name,
        message=f"The model {model.name} is a pickle file, which can run code when it is loaded.",
        cure="Use a .safetensors file.",
    )


def _without_source(model: Model) -> Finding:
    return Finding(
        code="model-without-source",
        subject=model.name,
        message=f"No address is known from which the model {model.name} can be had again.",
        cure="Keep the file at hand: restore and build take it by its sha256 from --models-from DIR.",
    )
