"""The contract: a workflow's named inputs and outputs, their types and bounds, and what each one sets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: What a caller may send for one input. Media travel as files; all else is JSON.
InputType = Literal[
    "string", "integer", "number", "boolean", "choice", "seed",
    "image", "mask", "audio", "video", "file", "color", "json",
]  # fmt: skip
MEDIA_TYPES: frozenset[str] = frozenset({"image", "mask", "audio", "video", "file"})

#: What an output gives back. ``files`` is any mixture.
OutputType = Literal["image", "animation", "video", "audio", "text", "json", "file", "3d", "files"]

#: A stable identifier, never a node id; also safe as a form field, a Python and a TypeScript name.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Frozen(BaseModel):
    """The base of every model of the contract: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Frozen):
    """One value of the API graph that a contract input sets: ``graph[node]["inputs"][input]``.

    `node` is an API id: node ids from the root down, joined by ``:`` (``"12:3"``). `values` is what each choice sets
    there, where it is not the choice itself.
    """

    node: str
    input: str
    values: dict[str, int] | None = None


class Input(Frozen):
    """One named parameter. Bounds are those of the node's definition, narrowed by the user's mark, never widened."""

    name: Name
    type: InputType
    title: str = ""
    description: str = ""
    group: str = ""  # inputs that belong together, for people
    required: bool = False
    default: Any = None  # the graph's own value; media: the name of the capsule's own input file
    minimum: float | int | None = None
    maximum: float | int | None = None
    step: float | int | None = None
    choices: tuple[str | int | float | bool, ...] | None = None
    max_length: int | None = None
    multiline: bool = False  # a text of several lines; only how it is shown
    multiple: bool = False  # the value is an array of `choices`
    as_text: bool = False  # of JSON: the graph holds its text
    targets: tuple[Target, ...]


class Output(Frozen):
    """One named result: everything that the nodes in `nodes` (API ids) give."""

    name: Name
    type: OutputType
    title: str = ""
    description: str = ""
    nodes: tuple[str, ...]


class Contract(Frozen):
    """What ``contract.json`` holds, beside the JSON Schema of the parameters that is derived from it."""

    format: Literal["1.0"] = "1.0"
    name: str  # of the workflow, as in ``POST /workflows/{name}``
    title: str = ""
    description: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
