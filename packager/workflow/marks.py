"""The marks of an editor graph: which widgets a user called API inputs, which nodes API outputs.

They live in ``node.properties.capsule``::

    {"v": 1, "inputs": {"<widget>": {"name", "title"?, "description"?, "required"?, "default"?, "minimum"?,
     "maximum"?, "step"?, "choices"?, "maxLength"?}}, "output": {"name", "title"?, "description"?}}

With none of ours, ComfyUI's own App Mode selection is read, see `app_mode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import BadInput
from .app_mode import app_mode_selection
from .walk import Graph, Node, host_label, instances, root_graph, widget_targets

KEY = "capsule"
VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)  # unknown fields: a later version's, kept out


class InputSettings(_Frozen):
    """What the user said of one input. Bounds only narrow those of the node; None says nothing."""

    name: str
    title: str = ""
    description: str = ""
    required: bool = False
    default: Any = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    step: int | float | None = None
    choices: tuple[str | int | float | bool, ...] | None = None
    max_length: int | None = Field(default=None, alias="maxLength")


class OutputSettings(_Frozen):
    """What the user said of one output."""

    name: str
    title: str = ""
    description: str = ""


class InputMark(_Frozen):
    """One marked widget, with the (API id, input) pairs it would set; `build_contract` checks that they are there."""

    node: str  # API id of the marked node (its first instance), for sentences
    title: str
    class_type: str
    mode: int  # 0 always, 2 muted, 4 bypassed
    widget: str
    targets: tuple[tuple[str, str], ...]
    settings: InputSettings


class OutputMark(_Frozen):
    """One marked output node, with the API ids of its instances."""

    node: str
    title: str
    class_type: str
    mode: int
    nodes: tuple[str, ...]
    settings: OutputSettings


class Marks(_Frozen):
    """All marks of a graph, in the order of the graph.

    Attributes:
        source: ``marks`` of ours, ComfyUI's ``app-mode``, or ``none``.
        unresolved: App Mode entries that point at nothing (the front-end drops those too), one sentence each.
    """

    source: Literal["marks", "app-mode", "none"] = "none"
    inputs: tuple[InputMark, ...] = ()
    outputs: tuple[OutputMark, ...] = ()
    unresolved: tuple[str, ...] = ()


def find_marks(ui: Mapping[str, Any]) -> Marks:
    """The marks in the editor graph `ui`.

    A mark inside a definition that is used N times is one mark with the targets of all N instances.

    Raises:
        BadInput: ``mark-unreadable`` or ``mark-too-new``, naming the node.
    """
    root = root_graph(ui)
    # an inner node is one thing however many instances it has: its raw object's identity groups them
    groups: dict[int, list[Node]] = {}
    for node in instances(root):
        groups.setdefault(id(node.raw), []).append(node)
    inputs: list[InputMark] = []
    outputs: list[OutputMark] = []
    for nodes in groups.values():
        mark = _mark_of(nodes[0])
        inputs += [_input_mark(nodes, widget, raw) for widget, raw in _mapping(mark.get("inputs"), nodes[0]).items()]
        if mark.get("output") is not None:
            outputs.append(_output_mark(nodes, mark["output"]))
    if inputs or outputs:
        return Marks(source="marks", inputs=tuple(inputs), outputs=tuple(outputs))
    return _from_app_mode(ui, root)


def _mark_of(node: Node) -> Mapping[str, Any]:
    mark = _mapping(node.properties.get(KEY), node)
    version = mark.get("v", VERSION)
    if mark and not isinstance(version, int):
        raise _unreadable(node, "its version is no number")
    if mark and version > VERSION:
        raise BadInput(
            "mark-too-new",
            f"The mark on {_words(node)} was made by a newer Comfy Capsule (marks of version {version}).",
            "Update Comfy Capsule.",
        )
    return mark


def _mapping(raw: object, node: Node) -> Mapping[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise _unreadable(node, "it is no object")
    return raw


def _input_mark(nodes: list[Node], widget: str, raw: object) -> InputMark:
    first = nodes[0]
    try:
        settings = InputSettings.model_validate(raw)
    except ValidationError as error:
        raise _unreadable(first, f"widget {widget!r}, {first_fault(error)}") from error
    targets = dict.fromkeys(target for node in nodes for target in widget_targets(node, widget))
    return InputMark(
        node=first.api_id,
        title=first.title,
        class_type=_class(first),
        mode=first.mode,
        widget=widget,
        targets=tuple(targets),
        settings=settings,
    )


def _output_mark(nodes: list[Node], raw: object) -> OutputMark:
    first = nodes[0]
    try:
        settings = OutputSettings.model_validate(raw)
    except ValidationError as error:
        raise _unreadable(first, f"output, {first_fault(error)}") from error
    ids = tuple(node.api_id for node in nodes)
    return OutputMark(
        node=first.api_id,
        title=first.title,
        class_type=_class(first),
        mode=first.mode,
        nodes=ids,
        settings=settings,
    )


def _from_app_mode(ui: Mapping[str, Any], root: Graph) -> Marks:
    selection = app_mode_selection(ui, root)
    taken: set[str] = set()
    inputs = []
    for chosen in selection.inputs:
        label = host_label(chosen.nodes[0], chosen.widget) or chosen.widget
        settings = {"name": unique_name(label, taken), "title": label, "description": chosen.description}
        inputs.append(_input_mark(list(chosen.nodes), chosen.widget, settings))
    taken = set()
    outputs = [
        _output_mark([node], {"name": unique_name(_output_label(node), taken), "title": node.title})
        for node in selection.outputs
    ]
    if not inputs and not outputs:
        return Marks(unresolved=selection.unresolved)
    return Marks(source="app-mode", inputs=tuple(inputs), outputs=tuple(outputs), unresolved=selection.unresolved)


def _output_label(node: Node) -> str:
    return node.title or node.type


def unique_name(text: str, taken: set[str]) -> str:
    """A name of the contract made from `text`, not in `taken`, to which it is added."""
    words = "".join(c if c.isascii() and c.isalnum() else "_" for c in _snake(text)).strip("_").lower()
    while "__" in words:
        words = words.replace("__", "_")
    if not words or not words[0].isalpha():
        words = f"value_{words}".rstrip("_")
    words = words[:56].rstrip("_")
    name, number = words, 2
    while name in taken:
        name, number = f"{words}_{number}", number + 1
    taken.add(name)
    return name


def _snake(text: str) -> str:
    """``SaveImage`` → ``Save_Image``: a class name makes a readable name."""
    return "".join(f"_{c}" if c.isupper() and i and text[i - 1].islower() else c for i, c in enumerate(text))


def _class(node: Node) -> str:
    """A host's class is a uuid; its definition's name says more."""
    return str(node.definition.raw.get("name") or "subgraph") if node.definition is not None else node.type


def _words(node: Node) -> str:
    title = f"{node.title!r}, " if node.title and node.title != node.type else ""
    return f"node {node.api_id} ({title}{_class(node)})"


def first_fault(error: ValidationError) -> str:
    """Where, and what, the first fault of a mark is."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else found["msg"]


def _unreadable(node: Node, why: str) -> BadInput:
    return BadInput(
        "mark-unreadable",
        f"The mark on {_words(node)} cannot be read: {why}.",
        "Remove it and mark the node again.",
    )
