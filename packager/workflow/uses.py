"""What a graph uses: node classes, files chosen from lists (models among them), files of the input folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .check import Graph
from .definitions import Definition, Definitions

_ANNOTATIONS = (" [input]", " [output]", " [temp]", "[input]", "[output]", "[temp]")


class FileChoice(NamedTuple):
    """One value that the graph takes from a list which the server offers; the lists of models are such lists."""

    node: str
    input: str
    value: Any
    options: tuple[Any, ...]
    class_type: str
    upload: str  # ``image``, ``audio``, ``video``, ``file`` when the list is that of the input folder, else empty


def used_classes(api: Graph) -> set[str]:
    """The node classes that `api` uses."""
    return {str(entry["class_type"]) for entry in api.values() if entry.get("class_type")}


def literal_inputs(api: Graph, object_info: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Definition | None]]:
    """(node id, input, value, definition) of every input that holds a value and no link."""
    definitions = Definitions(object_info)
    for node, entry in api.items():
        inputs = entry.get("inputs") or {}
        for name, value in inputs.items():
            if not isinstance(value, list):
                yield node, name, value, definitions.of(str(entry.get("class_type")), name, inputs)


def file_choices(api: Graph, object_info: Mapping[str, Any]) -> list[FileChoice]:
    """Every value that a choice holds (legacy lists and ``COMBO`` alike), with the options it is chosen from.

    Values of multiple choices (``{"__value__": [...]}``) give one entry each. Choices whose options are
    fetched by the front-end have no options here.
    """
    found = []
    for node, name, value, definition in literal_inputs(api, object_info):
        if definition is None or definition.kind != "COMBO":
            continue
        class_type = str(api[node].get("class_type"))
        values = value.get("__value__", ()) if isinstance(value, dict) else (value,)
        options = definition.options or ()
        found += [FileChoice(node, name, each, options, class_type, definition.upload) for each in values]
    return found


def input_files(api: Graph, object_info: Mapping[str, Any]) -> list[str]:
    """Names of the files that `api` reads from ComfyUI's input folder, sorted, with ``/`` before subfolders.

    Known by the upload flags of the inputs, and by the annotation ``name [input]``
    (``folder_paths.annotated_filepath``); ``[output]`` and ``[temp]`` name other folders.
    """
    return sorted({name for name, folder in _read_files(api, object_info) if folder == "input"})


def produced_files(api: Graph, object_info: Mapping[str, Any]) -> list[str]:
    """The files that `api` reads from ComfyUI's output and temp folders, sorted, each as ``name [folder]``."""
    read = _read_files(api, object_info)
    return sorted({f"{name} [{folder}]" for name, folder in read if folder in ("output", "temp")})


def _read_files(api: Graph, object_info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, folder) of every value that names a file in one of ComfyUI's folders."""
    for _, _, value, definition in literal_inputs(api, object_info):
        for text in _texts(value):
            if not text.strip() or text == "none":  # the 3D loaders' word for no file
                continue
            name, folder = split_annotation(text)
            if folder == "" and isinstance(value, str) and definition is not None and definition.upload:
                folder = str(definition.settings.get("image_folder") or "input")
            elif folder == "" and definition is not None and definition.upload and _is_list(value):
                folder = "input"
            yield name.replace("\\", "/"), folder


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts in a value, which may be a structure: what the 3D loaders' widget holds, or several files at once."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)) and depth < 8:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth + 1)


def _is_list(value: Any) -> bool:
    return isinstance(value, dict) and "__value__" in value


def split_annotation(value: str) -> tuple[str, str]:
    """``"a.png [input]"`` → ``("a.png", "input")``; no annotation gives ``""`` for the folder."""
    for annotation in _ANNOTATIONS:
        if value.endswith(annotation):
            return value.removesuffix(annotation), annotation.strip(" []")
    return value, ""
