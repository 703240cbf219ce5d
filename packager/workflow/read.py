"""Reading a workflow file: the UI graph, the API graph, or a picture made by ComfyUI that holds both."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import BadInput
from .picture import LIMIT, picture_texts

_HOW_TO_EXPORT = (
    "Open the workflow in ComfyUI, choose File → Export (API), and give that file with --api; "
    "or use a picture made by ComfyUI, which holds both graphs."
)
_EXPECTED = "Give a workflow saved by ComfyUI (.json), or a PNG or WebP picture that ComfyUI made."


class WorkflowFile(NamedTuple):
    """What a file held.

    Attributes:
        ui: the graph as the editor saves it (``nodes``, ``links``, ``definitions``), or None.
        api: the graph as it is executed (``{node id: {"class_type", "inputs"}}``), or None.
    """

    ui: dict[str, Any] | None
    api: dict[str, Any] | None

    def need_api(self) -> dict[str, Any]:
        """The API graph.

        Raises:
            BadInput: ``api-graph-missing``, with how to export it.
        """
        if self.api is None:
            raise BadInput("api-graph-missing", "The file holds the editor's graph only.", _HOW_TO_EXPORT)
        return self.api


def read_workflow_file(path: Path | str) -> WorkflowFile:
    """Read the UI json, API json or ComfyUI picture at `path`.

    Raises:
        BadInput: ``no-such-file``, ``not-a-workflow``, ``workflow-cut-off``, ``picture-unreadable``,
            ``picture-without-workflow``.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput("no-such-file", f"There is no file {path}.", _EXPECTED)
    texts = picture_texts(path)
    if texts is None:
        return _of_json(path)
    ui = _parse(texts["workflow"], path) if texts.get("workflow", "null") != "null" else None
    api = _parse(texts["prompt"], path) if texts.get("prompt", "null") != "null" else None
    if ui is None and api is None:
        raise BadInput(
            "picture-without-workflow",
            f"The picture {path.name} holds no workflow.",
            "ComfyUI writes it unless it runs with --disable-metadata; sites and chats that recode pictures drop it.",
        )
    if ui is not None and not is_ui_graph(ui):
        raise _foreign(path)
    if api is not None and not is_api_graph(api):
        raise _foreign(path)
    return WorkflowFile(ui, api)


def is_ui_graph(data: object) -> bool:
    """Whether `data` is a graph as the editor saves it (version 0.4 and 1.0 both hold a list ``nodes``)."""
    return isinstance(data, dict) and isinstance(data.get("nodes"), list)


def is_api_graph(data: object) -> bool:
    """Whether `data` is a graph as ``POST /prompt`` takes it; whether it is whole is for `check_api_graph`."""
    return (
        isinstance(data, dict)
        and bool(data)
        and all(isinstance(entry, dict) for entry in data.values())
        and any("class_type" in entry for entry in data.values())
    )


def _of_json(path: Path) -> WorkflowFile:
    if path.stat().st_size > LIMIT:
        raise BadInput("not-a-workflow", f"The file {path.name} is larger than any workflow.", _EXPECTED)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _foreign(path) from error
    data = _parse(text, path)
    if is_ui_graph(data):
        return WorkflowFile(data, None)
    if is_api_graph(data):
        return WorkflowFile(None, data)
    prompt = data.get("prompt")  # a request body, as scripts that call POST /prompt keep it
    if isinstance(prompt, dict) and is_api_graph(prompt):
        return WorkflowFile(None, prompt)
    raise _foreign(path)


def _parse(text: str, path: Path) -> dict[str, Any]:
    """The JSON object in `text`. NaN and Infinity, which Python writes into old files, become null."""

    def constant(_: str) -> None:
        return None

    try:
        data = json.loads(text, parse_constant=constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] == "{":
            raise BadInput(
                "workflow-cut-off",
                f"The workflow in {path.name} is not whole JSON: {error}.",
                "Save it again from ComfyUI.",
            ) from error
        raise _foreign(path) from error
    if not isinstance(data, dict):
        raise _foreign(path)
    return data


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _foreign(path: Path) -> BadInput:
    return BadInput("not-a-workflow", f"The file {path.name} is not a ComfyUI workflow.", _EXPECTED)
