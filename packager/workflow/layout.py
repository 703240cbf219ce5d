"""How the API of an editor graph is laid out: what it is called, and the order and groups of its inputs and outputs.

It stands in the root graph's ``extra.capsule``; what it does not name comes after, in the order of the graph::

    {"v": 1, "title"?, "description"?, "inputs"?: [{"name", "group"?}], "outputs"?: [{"name"}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import BadInput
from .marks import KEY, VERSION, first_fault


class Place(BaseModel):
    """One input or output, by the name of its mark."""

    model_config = ConfigDict(frozen=True)

    name: str
    group: str = ""


class Layout(BaseModel):
    """All that is said; empty for a graph that says nothing."""

    model_config = ConfigDict(frozen=True)

    title: str = ""
    description: str = ""
    inputs: tuple[Place, ...] = ()
    outputs: tuple[Place, ...] = ()


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


def read_layout(ui: Mapping[str, Any] | None) -> Layout:
    """The layout in the editor graph `ui`.

    Raises:
        BadInput: ``mark-unreadable``, ``mark-too-new``.
    """
    extra = ui.get("extra") if ui is not None else None
    said = extra.get(KEY) if isinstance(extra, Mapping) else None
    if said is None:
        return Layout()
    version = said.get("v", VERSION) if isinstance(said, Mapping) else None
    if isinstance(version, int) and version > VERSION:
        raise BadInput(
            "mark-too-new",
            f"The order of this workflow's API was made by a newer Comfy Capsule (version {version}).",
            "Update Comfy Capsule.",
        )
    try:
        return Layout.model_validate(said)
    except ValidationError as error:
        raise BadInput(
            "mark-unreadable",
            f"What the workflow says of its API (extra.{KEY}) cannot be read: {first_fault(error)}.",
            "Remove it from the file, and order the inputs again in the editor.",
        ) from error


def arranged(items: Iterable[_T], places: Sequence[Place]) -> list[_T]:
    """`items` in the order of `places`; those that have none after them, as they come."""
    order = {place.name: index for index, place in reversed(list(enumerate(places)))}
    return sorted(items, key=lambda item: order.get(item.name, len(places)))
