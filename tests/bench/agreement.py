"""Whether the panel, in the live graph, and the engine, in the saved one, say the same of a workflow: what each mark
sets, and what ComfyUI's App Mode selection means.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comfy_capsule.packager.workflow import find_marks, is_link

from .templates import each_in_editor, lay_out, template_editor

Json = dict[str, Any]
Targets = set[tuple[str, str]]
_WEB = Path(__file__).parents[2] / "web"
_SCRIPT = Path(__file__).with_suffix(".mjs").read_text()


def disagreements(workflows: dict[str, Json], front_end: str) -> tuple[dict[str, str], int]:
    """The first disagreement in each of `workflows` (empty where there is none), and how many marks were compared."""
    with _editor(workflows, front_end) as page:
        said = each_in_editor(page, workflows, _SCRIPT)
    faults = {name: next(_faults(each, workflows[name]), "") for name, each in said.items()}
    return faults, sum(len(each["found"]) for each in said.values())


@contextmanager
def _editor(workflows: dict[str, Json], front_end: str) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        lay_out(workflows, Path(folder))
        with template_editor(Path(folder), front_end) as page:
            page.route("**/capsule-web/*", _serve)
            yield page


def _serve(route: Any) -> None:
    route.fulfill(path=_WEB / route.request.url.rpartition("/")[2])


def _faults(said: Json, shipped: Json) -> Iterator[str]:
    engine = {mark.settings.name: set(mark.targets) for mark in find_marks(said["workflow"]).inputs}
    panel = {name: _targets(each["targets"]) for name, each in said["found"].items()}
    for name in engine.keys() | panel.keys():
        if engine.get(name) != panel.get(name):
            yield f"{name} sets {panel.get(name)} in the panel, {engine.get(name)} in the engine"
    api = said["output"]
    for each in said["found"].values():
        for node, name in _targets(each["targets"]):
            inputs = api[node]["inputs"] if node in api else {}
            if name in inputs and is_link(inputs[name]) == ([node, name] in each["free"]):
                yield f"{name} of {node} is {inputs[name]!r:.60}, and free in the panel: {[node, name] in each['free']}"
    if "linearData" in (shipped.get("extra") or {}):
        yield from _app_mode_faults(said)


def _app_mode_faults(said: Json) -> Iterator[str]:
    marks = find_marks(_unmarked(said["workflow"]))
    engine = [set(mark.targets) for mark in marks.inputs], [mark.node for mark in marks.outputs]
    for who, selection in (("the panel", said["appMode"]), ("the builder", said["builders"])):
        if selection is not None:
            found = [_targets(each) for each in selection["inputs"]], selection["outputs"]
            if found != engine:
                yield f"App Mode is {found} to {who}, {engine} to the engine"


def _targets(pairs: list[list[str]]) -> Targets:
    return {(node, name) for node, name in pairs}


def _unmarked(ui: Json) -> Json:
    for graph in (ui, *((ui.get("definitions") or {}).get("subgraphs", ()))):
        for node in graph["nodes"]:
            (node.get("properties") or {}).pop("capsule", None)
    return ui
