"""Marks → contract: each marked widget becomes an input with the node's own type and bounds, narrowed by its mark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import BadInput
from ..workflow import (
    InputMark,
    Marks,
    arranged,
    definition_of,
    find_marks,
    is_group_node,
    is_link,
    read_layout,
    with_api_nodes,
)
from ..workflow.check import Graph
from .models import Contract, Input, Output, Target
from .narrow import narrowed
from .options import PLACE, interchangeable, own_options, places
from .outputs import check_name, contract_outputs
from .widgets import Widget, intersect, widget_of


class Built(NamedTuple):
    """A contract, and one sentence for each App Mode entry that was left out because it points at nothing."""

    contract: Contract
    notes: tuple[str, ...]


def build_contract(
    name: str,
    ui: Mapping[str, Any] | None,
    api: Graph,
    object_info: Mapping[str, Any],
    model_choices: Mapping[str, Collection[str]] | None = None,
) -> Contract:
    """The contract of the workflow called `name`. See `build_with_notes`."""
    return build_with_notes(name, ui, api, object_info, model_choices).contract


def build_with_notes(
    name: str,
    ui: Mapping[str, Any] | None,
    api: Graph,
    object_info: Mapping[str, Any],
    model_choices: Mapping[str, Collection[str]] | None = None,
) -> Built:
    """The contract of the workflow called `name`, and what was left out of it.

    Args:
        ui: the editor graph, which bears the marks; without it only API nodes are inputs, and, where no API node is
            one, every output node is an output.
        api: a graph that passed `check_api_graph` and `missing_classes`.
        object_info: the definitions of (at least) its classes, as ``GET /object_info`` gives them.
        model_choices: the choices that a capsule can serve, by ``"<API node id>.<input>"`` (see `choice_key`):
            the names of the models that it contains. Choices without an entry keep the server's options.

    Raises:
        BadInput: ``mark-without-target``, ``mark-name-twice``, ``mark-name-bad``, ``mark-target-twice``,
            ``mark-widens``, ``mark-default-out-of-bounds``, ``mark-does-not-fit``, ``mark-bounds-cross``,
            ``mark-default-not-json``, ``mark-not-an-output``, ``mark-unreadable``, ``mark-too-new``,
            ``targets-differ``.
    """
    marks = with_api_nodes(find_marks(ui) if ui is not None else Marks(), ui, api, object_info)
    notes = list(marks.unresolved)
    inputs: list[Input] = []
    reached: dict[tuple[str, str], str] = {}
    for mark in marks.inputs:
        targets = [target for target in mark.targets if _settable(api, target)]
        if not targets:
            sentence = _no_target(mark, api)
            if marks.source != "app-mode":
                cure = _GROUP_NODE_CURE if is_group_node(mark.class_type) else _NO_TARGET_CURE
                raise BadInput("mark-without-target", sentence, cure)
            notes.append(sentence)  # the front-end drops what it cannot resolve, too
            continue
        for target in (*targets, *((each.node, each.input) for each in _places(targets, api))):
            _claim(reached, target, mark, api)
        inputs.append(_input(mark, targets, api, object_info, model_choices or {}))
    outputs = contract_outputs(marks, api, object_info)
    _unique_names("input", inputs)
    _unique_names("output", outputs)
    layout = read_layout(ui)
    groups = {place.name: place.group for place in layout.inputs}
    contract = Contract(
        name=name,
        title=layout.title,
        description=layout.description,
        inputs=tuple(
            each.model_copy(update={"group": groups.get(each.name, "")}) for each in arranged(inputs, layout.inputs)
        ),
        outputs=tuple(arranged(outputs, layout.outputs)),
    )
    return Built(contract, tuple(notes))


def choice_key(node: str, input_name: str) -> str:
    """The key of one input in `model_choices`. Node ids have no dots, so it is unique."""
    return f"{node}.{input_name}"


_NO_TARGET_CURE = "Remove the mark, or undo the change and export the API graph again."
_GROUP_NODE_CURE = "Open the workflow in a newer ComfyUI, which makes subgraphs of group nodes, and mark their widgets."


def _settable(api: Graph, target: tuple[str, str]) -> bool:
    node, name = target
    inputs = api[node]["inputs"] if node in api else {}
    return name in inputs and not is_link(inputs[name])


def _where(mark: InputMark) -> str:
    title = f"{mark.title!r}, " if mark.title and mark.title != mark.class_type else ""
    return f"widget {mark.widget!r} of node {mark.node} ({title}{mark.class_type})"


def _no_target(mark: InputMark, api: Graph) -> str:
    present = [(node, name) for node, name in mark.targets if node in api]
    if is_group_node(mark.class_type):
        why = "which is a group node"
    elif any(is_link(api[node]["inputs"].get(name)) for node, name in present):
        why = "which is an input that a link feeds"
    elif present:
        why = "which that node does not have"
    elif mark.mode in (2, 4):
        why = "whose node is muted" if mark.mode == 2 else "whose node is bypassed"
    elif not mark.targets:
        why = "which leads to no node"
    else:
        why = "whose node is not in the API graph"
    return f"The input {mark.settings.name!r} marks {_where(mark)}, {why}."


def _claim(reached: dict[tuple[str, str], str], target: tuple[str, str], mark: InputMark, api: Graph) -> None:
    other = reached.get(target)
    if other is None:
        reached[target] = mark.settings.name
    else:
        node, name = target
        raise BadInput(
            "mark-target-twice",
            f"The inputs {other!r} and {mark.settings.name!r} both set {name!r} of node {node} "
            f"({api[node]['class_type']}); the second marks {_where(mark)}.",
            "Remove one of the two marks.",
        )


def _input(
    mark: InputMark,
    targets: list[tuple[str, str]],
    api: Graph,
    object_info: Mapping[str, Any],
    model_choices: Mapping[str, Collection[str]],
) -> Input:
    settings, where = mark.settings, _where(mark)
    check_name(settings.name, where)
    widget = narrowed(_common(targets, where, api, object_info, model_choices), settings, where)
    return Input(
        name=settings.name,
        type=widget.type,
        title=settings.title,
        description=settings.description or widget.description,
        required=settings.required,
        default=widget.value,
        minimum=widget.minimum,
        maximum=widget.maximum,
        step=widget.step,
        choices=widget.choices,
        max_length=settings.max_length,
        multiline=widget.multiline,
        multiple=widget.multiple,
        as_text=widget.as_text,
        targets=(*(Target(node=node, input=name) for node, name in targets), *_places(targets, api)),
    )


def _places(targets: list[tuple[str, str]], api: Graph) -> list[Target]:
    """What goes along with `targets`: the place of a choice among its options, where a node asks for it."""
    found = ((node, places(str(api[node]["class_type"]), name, api[node]["inputs"])) for node, name in targets)
    return [Target(node=node, input=PLACE, values=values) for node, values in found if values is not None]


def _common(
    targets: list[tuple[str, str]],
    where: str,
    api: Graph,
    object_info: Mapping[str, Any],
    model_choices: Mapping[str, Collection[str]],
) -> Widget:
    """What may be set at all of `targets`."""
    common: Widget | None = None
    for node, name in targets:
        class_type, inputs = str(api[node]["class_type"]), api[node]["inputs"]
        definition = definition_of(class_type, name, inputs, object_info)
        fixed = interchangeable(definition, name, inputs) if definition is not None else ()
        allowed = own_options(class_type, name, inputs) or model_choices.get(choice_key(node, name))
        try:
            widget = widget_of(definition, class_type, name, inputs[name], allowed, fixed)
        except BadInput as error:
            raise BadInput(
                error.code, f"The value of the {where} is no JSON: {error.message}.", "Correct it in the editor."
            ) from error
        try:
            common = widget if common is None else intersect(common, widget)
        except BadInput as error:
            raise BadInput(
                error.code,
                f"The mark on {where} sets {len(targets)} nodes that do not go together: {error.message}.",
                "Mark their widgets one by one.",
            ) from error
    assert common is not None
    return common


def _unique_names(what: str, named: Iterable[Input | Output]) -> None:
    seen: set[str] = set()
    for each in named:
        if each.name in seen:
            raise BadInput("mark-name-twice", f"Two marks name an {what} {each.name!r}.", "Rename one of them.")
        seen.add(each.name)
