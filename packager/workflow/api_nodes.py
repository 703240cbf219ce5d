"""The API nodes in a graph: nodes of ours that are inputs and outputs of the API by being there.

What they say stands in their own inputs (`nodes/inputs.py`, `nodes/outputs.py`), so it is read from the API graph; the
editor graph only tells which of them are one node inside a definition that is used several times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import BadInput
from .check import Graph, is_link, node_words
from .marks import InputMark, InputSettings, Marks, OutputMark, OutputSettings, first_fault
from .walk import instances, root_graph

#: Class → the input that the API sets.
API_INPUTS = {
    "CapsuleText": "value",
    "CapsuleInteger": "value",
    "CapsuleFloat": "value",
    "CapsuleBoolean": "value",
    "CapsuleChoice": "value",
    "CapsuleSeed": "value",
    "CapsuleImage": "image",
    "CapsuleAudio": "audio",
    "CapsuleVideo": "video",
    "CapsuleFile": "file",
    "CapsuleJSON": "value",
}
API_OUTPUTS = frozenset({
    "CapsuleOutputImage", "CapsuleOutputAnimation", "CapsuleOutputVideo", "CapsuleOutputAudio",
    "CapsuleOutput3D", "CapsuleOutputText", "CapsuleOutputJSON", "CapsuleOutputFile",
})  # fmt: skip

_SETTINGS = ("name", "description", "minimum", "maximum", "max_length")


def with_api_nodes(marks: Marks, ui: Mapping[str, Any] | None, api: Graph, object_info: Mapping[str, Any]) -> Marks:
    """`marks` and those that the API nodes of `api` are; ComfyUI's App Mode selection only counts without any.

    A node inside a definition that is used N times is one input with N targets, unless its instances are named apart.

    Raises:
        BadInput: ``mark-unreadable`` for a node whose name or bounds come over a link, or are no such thing.
    """
    inputs, outputs = [], []
    for nodes in _grouped(ui, api):
        class_type, title = str(api[nodes[0]]["class_type"]), _title(api[nodes[0]], object_info)
        said = {**_said(api, nodes[0]), "title": title}
        common: dict[str, Any] = {"node": nodes[0], "title": title, "class_type": class_type, "mode": 0}
        try:
            if class_type in API_OUTPUTS:
                settings = OutputSettings.model_validate(said)
                outputs.append(OutputMark(**common, nodes=nodes, settings=settings))
            else:
                widget = API_INPUTS[class_type]
                targets = tuple((node, widget) for node in nodes)
                inputs.append(
                    InputMark(**common, widget=widget, targets=targets, settings=InputSettings.model_validate(said))
                )
        except ValidationError as error:
            raise _unreadable(api, nodes[0], first_fault(error)) from error
    if not inputs and not outputs:
        return marks
    kept = marks if marks.source == "marks" else Marks()
    return Marks(
        source="marks",
        inputs=(*kept.inputs, *inputs),
        outputs=(*kept.outputs, *outputs),
        unresolved=kept.unresolved,
    )


def _grouped(ui: Mapping[str, Any] | None, api: Graph) -> Iterator[tuple[str, ...]]:
    """The API ids of each API node, in the order of the graph: several where one node has several instances."""
    ours = {
        node for node, entry in api.items() if entry["class_type"] in API_INPUTS or entry["class_type"] in API_OUTPUTS
    }
    groups: dict[tuple[Any, ...], list[str]] = {}
    for node in instances(root_graph(ui)) if ui is not None and ours else ():
        if node.api_id in ours:
            ours.discard(node.api_id)
            settings = (repr(value) for value in _said(api, node.api_id).values())
            groups.setdefault((id(node.raw), *settings), []).append(node.api_id)
    yield from map(tuple, groups.values())
    yield from ((node,) for node in api if node in ours)


def _said(api: Graph, node: str) -> dict[str, Any]:
    inputs = api[node]["inputs"]
    said = {name: inputs[name] for name in _SETTINGS if name in inputs}
    if "choices" in inputs:
        lines = str(inputs["choices"]).splitlines()
        said["choices"] = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    for name in (*said, "choices"):
        if is_link(inputs.get(name)):
            raise _unreadable(api, node, f"a link feeds its {name}, so that it is not known before a run")
    return said


def _title(entry: Mapping[str, Any], object_info: Mapping[str, Any]) -> str:
    """What the user calls the node; nothing when it is called as its class is."""
    title = str((entry.get("_meta") or {}).get("title") or "")
    class_type = str(entry["class_type"])
    return "" if title in (class_type, object_info.get(class_type, {}).get("display_name")) else title


def _unreadable(api: Graph, node: str, why: str) -> BadInput:
    return BadInput(
        "mark-unreadable", f"The API node {node_words(api, node)} cannot be read: {why}.", "Correct it in the editor."
    )
