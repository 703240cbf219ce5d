"""What each output node gives back, and which of them a contract names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import BadInput
from ..workflow import Marks, node_words, unique_name
from ..workflow.check import Graph
from .models import Output, OutputType

_TYPES: dict[str, OutputType] = {
    "SaveImage": "image",
    "PreviewImage": "image",
    "SaveImageAdvanced": "image",
    "SaveImageWebsocket": "image",
    "MaskPreview": "image",
    "SaveAnimatedWEBP": "animation",
    "SaveAnimatedPNG": "animation",
    "SaveVideo": "video",
    "SaveWEBM": "video",
    "VHS_VideoCombine": "files",
    "PreviewAny": "text",
    "CapsuleOutputImage": "image",
    "CapsuleOutputAnimation": "animation",
    "CapsuleOutputVideo": "video",
    "CapsuleOutputAudio": "audio",
    "CapsuleOutput3D": "3d",
    "CapsuleOutputText": "text",
    "CapsuleOutputJSON": "json",
    "CapsuleOutputFile": "file",
    "SaveText": "text",
    "SaveGLB": "3d",
    "PreviewGaussianSplat": "3d",
    "PreviewPointCloud": "3d",
    "SaveGaussianSplat": "3d",
    "SavePointCloud": "3d",
    "Save3DAdvanced": "3d",
    "ImageCompare": "image",
    "LossGraphNode": "image",
    "SaveLatent": "file",
    "CheckpointSave": "file",
    "ImageOnlyCheckpointSave": "file",
    "CLIPSave": "file",
    "VAESave": "file",
    "ModelSave": "file",
    "LoraSave": "file",
    "SaveLoRA": "file",
}
_FAMILIES: tuple[tuple[str, OutputType], ...] = (
    ("SaveAudio", "audio"),
    ("PreviewAudio", "audio"),
    ("Preview3D", "3d"),
    ("SaveSVG", "image"),
)
_INPUT_TYPES: dict[str, OutputType] = {
    "IMAGE": "image",
    "AUDIO": "audio",
    "VIDEO": "video",
    "MESH": "3d",
}

#: The part of a multipart request that holds all that are no files.
RESERVED = "parameters"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def check_name(name: str, where: str) -> None:
    """Refuse a name that a client could not use as a field, a Python or a TypeScript name.

    Raises:
        BadInput: ``mark-name-bad``.
    """
    if name == RESERVED or not _NAME.fullmatch(name):
        raise BadInput(
            "mark-name-bad",
            f"The name {name!r} on {where} is not one a program can use.",
            f"Use small letters, digits and _, beginning with a letter, at most 64; {RESERVED!r} is taken.",
        )


def output_type(class_type: str, object_info: Mapping[str, Any]) -> OutputType:
    """What an output node of `class_type` gives, by its class; of an unknown one by the one kind of data it takes."""
    if class_type in _TYPES:
        return _TYPES[class_type]
    for prefix, kind in _FAMILIES:
        if class_type.startswith(prefix):
            return kind
    groups = object_info.get(class_type, {}).get("input") or {}
    taken = [raw[0] for group in ("required", "optional") for raw in (groups.get(group) or {}).values() if raw]
    kinds = {_INPUT_TYPES[kind] for kind in taken if isinstance(kind, str) and kind in _INPUT_TYPES}
    return kinds.pop() if len(kinds) == 1 else "files"


def is_output(class_type: str, object_info: Mapping[str, Any]) -> bool:
    """Whether ComfyUI runs nodes of `class_type` for their own sake."""
    return bool(object_info.get(class_type, {}).get("output_node"))


def contract_outputs(marks: Marks, api: Graph, object_info: Mapping[str, Any]) -> tuple[Output, ...]:
    """The marked outputs; without marks on nodes every output node of `api`, under names made from their titles.

    Raises:
        BadInput: ``mark-without-target``, ``mark-not-an-output``, ``mark-name-twice``, ``mark-name-bad``.
    """
    if marks.outputs:
        return _marked(marks, api, object_info)
    found = [node for node, entry in api.items() if is_output(str(entry["class_type"]), object_info)]
    taken: set[str] = set()
    outputs = []
    for node in sorted(found, key=node_order):
        class_type = str(api[node]["class_type"])
        kind = output_type(class_type, object_info)
        title = str((api[node].get("_meta") or {}).get("title") or "")
        own = {class_type, object_info[class_type].get("display_name"), ""}
        label = kind if title in own else title
        name = unique_name("model_3d" if label == "3d" else label, taken)
        outputs.append(Output(name=name, type=kind, title=title, nodes=(node,)))
    return tuple(outputs)


def node_order(node: str) -> tuple[tuple[int, int | str], ...]:
    """Sorts API ids as numbers where they are numbers, so that ``10`` comes after ``9``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in node.split(":"))


def _marked(marks: Marks, api: Graph, object_info: Mapping[str, Any]) -> tuple[Output, ...]:
    outputs: list[Output] = []
    for mark in marks.outputs:
        nodes = tuple(node for node in mark.nodes if node in api)
        where = f"node {mark.node} ({mark.title or mark.class_type})"
        if not nodes:
            if marks.source == "app-mode":
                continue
            why = {2: " is muted", 4: " is bypassed"}.get(mark.mode, " is not in the API graph")
            raise BadInput(
                "mark-without-target",
                f"The output {mark.settings.name!r} marks {where}, which{why}.",
                "Remove the mark, or put the node back to use and export the API graph again.",
            )
        check_name(mark.settings.name, where)
        class_type = str(api[nodes[0]]["class_type"])
        if not is_output(class_type, object_info):
            raise BadInput(
                "mark-not-an-output",
                f"The output {mark.settings.name!r} marks {node_words(api, nodes[0])}, which is no output node.",
                "Mark a node that saves or previews something.",
            )
        outputs.append(
            Output(
                name=mark.settings.name,
                type=output_type(class_type, object_info),
                title=mark.settings.title,
                description=mark.settings.description,
                nodes=nodes,
            )
        )
    return tuple(outputs)
