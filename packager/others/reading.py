"""Which tool wrote a file, and what it says: the one door to all forms."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..strict_json import loads
from ..workflow import is_api_graph, is_ui_graph, read_workflow_file
from .cpack import read_cpack
from .desktop import is_desktop, read_desktop
from .graphs import read_graphs
from .manager import is_manager, read_manager
from .models import Described

_LARGEST = 16 << 20  # bytes of a snapshot; real ones have some kB
_DEEPEST = 20  # of YAML; a snapshot has four levels
_EXPECTED = (
    "Give a snapshot of ComfyUI-Manager (.json, .yaml) or Comfy-Desktop (.json), a .cpack.zip, "
    "or a workflow or picture of ComfyUI."
)


def read_others(path: Path, number: int = 1) -> Described:
    """What the file at `path` says; nothing of it is run, fetched or written.

    Args:
        number: which snapshot, where the file holds several; 1 is the newest.

    Raises:
        BadInput: ``no-such-file``, ``others-unreadable``, ``others-too-large``, ``others-too-new``,
            ``no-such-snapshot``, ``no-yaml``, ``is-a-capsule``; as `read_workflow_file`.
    """
    if not path.is_file():
        raise BadInput("no-such-file", f"There is no file {path}.", _EXPECTED)
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"PK\x03\x04":
        _refuse_capsule(path)
        return read_cpack(path)
    if head[:4] == b"\x89PNG" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return read_graphs(read_workflow_file(path))
    said = _snapshot(path)
    if is_desktop(said):
        return read_desktop(said, number)
    if is_manager(said):
        return read_manager(said)
    if is_ui_graph(said) or is_api_graph(said) or is_api_graph(said.get("prompt")):
        return read_graphs(read_workflow_file(path))
    raise BadInput("others-unreadable", f"{path.name} is nothing that is known here.", _EXPECTED)


def _refuse_capsule(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            ours = {"MANIFEST.json", "capsule.toml"} <= set(archive.namelist())
    except zipfile.BadZipFile as error:
        raise BadInput("others-unreadable", f"{path.name} is no whole zip ({error}).", "Copy it again.") from error
    if ours:
        raise BadInput("is-a-capsule", f"{path.name} is a capsule already.", "Restore it, or build its image.")


def _snapshot(path: Path) -> dict[str, Any]:
    """The object in the JSON or YAML file; ComfyUI-Manager's YAML has it under ``custom_nodes``."""
    if path.stat().st_size > _LARGEST:
        raise BadInput("others-too-large", f"{path.name} is larger than any snapshot.", _EXPECTED)
    try:
        text = path.read_text(encoding="utf-8-sig")
        said = _yaml(text) if path.suffix.lower() in (".yaml", ".yml") else loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "others-unreadable", f"{path.name} is neither JSON nor YAML that is whole.", _EXPECTED
        ) from error
    if isinstance(said, dict) and isinstance(said.get("custom_nodes"), dict):
        said = said["custom_nodes"]
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise BadInput("others-unreadable", f"{path.name} holds no object of names and values.", _EXPECTED)
    return said


def _yaml(text: str) -> Any:
    """By PyYAML where it is: ComfyUI needs it, we do not. Its safe loader makes no objects but plain ones.

    Raises:
        BadInput: ``no-yaml``.
        ValueError: it is no YAML.
    """
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        cure = "Install pyyaml, or save the snapshot as .json in ComfyUI-Manager."
        raise BadInput("no-yaml", "A snapshot in YAML needs the package pyyaml, which is not here.", cure) from error
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            # The Manager writes neither: a few lines of aliases can stand for millions, and depth costs its square.
            if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
                raise ValueError("it is nested too deeply, or repeats parts of itself")
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
