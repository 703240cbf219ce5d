"""The models found in real workflows against those that their nodes declare, and in fifty graphs of ours.

The 493 templates that ComfyUI ships: API graphs by the real front-end, every file that any of them declares laid out,
empty. Of each template what is found in its graph is compared with what its nodes that reach the graph declare
(``properties.models``: folder and name); the workflow's own declarations are not shown to the search. Once more with
every list of models emptied, as of a ComfyUI that has not seen the files yet; the worse of the two counts.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]

from bench import bench_install  # noqa: E402
from bench.templates import Templates, declared_models, lay_out, templates  # noqa: E402
from comfy_capsule.packager.comfy import find_install  # noqa: E402
from comfy_capsule.packager.snapshot.models.folders import ModelFolder, looks_like_model, model_folders  # noqa: E402
from comfy_capsule.packager.snapshot.models.models import find_models  # noqa: E402
from model_cases import CASES, graph_of, install_of  # noqa: E402

GOAL = 0.99
Pairs = set[tuple[str, str]]


def in_templates(
    given: Templates, folders: Sequence[ModelFolder], info: dict[str, Any]
) -> Iterator[tuple[str, Pairs, Pairs]]:
    """(template, found, declared) of each template whose nodes this ComfyUI has."""
    for name, graph in given.graphs.items():
        if all(entry.get("class_type") in info for entry in graph.values()):
            found, _ = find_models(folders, graph, info)
            declared = {(item.folder, item.name) for item in declared_models(given.saved[name])
                        if item.api_id in graph}  # fmt: skip
            yield name, {(item.folder, item.name) for item in found}, declared


def in_ours(folder: Path) -> Iterator[tuple[str, Pairs, Pairs]]:
    """The same of the graphs whose truth is written by hand."""
    for number, case in enumerate(CASES):
        install = install_of(folder / str(number), case.files)
        found, _ = find_models(model_folders(install), *graph_of(case))
        truth = {(used.partition(":")[0], used.partition(":")[2]) for used in case.uses}
        yield case.name, {(item.folder, item.name) for item in found}, truth


def emptied(info: dict[str, Any]) -> dict[str, Any]:
    """The definitions with every list that holds models empty."""
    changed = copy.deepcopy(info)
    groups = [
        definition["input"].get(group, {}) for definition in changed.values() for group in ("required", "optional")
    ]
    for raw in (raw for group in groups for raw in group.values()):
        options = raw[0] if isinstance(raw[0], list) else raw[1].get("options") if raw[1:] else None
        if isinstance(options, list) and any(looks_like_model(str(option)) for option in options):
            options.clear()
    return changed


def tell(what: str, rows: Iterator[tuple[str, Pairs, Pairs]]) -> tuple[float, float]:
    """Precision and recall over `rows`; each miss on standard error."""
    both = extra = missed = graphs = 0
    for name, found, truth in rows:
        graphs += 1
        both, extra, missed = both + len(found & truth), extra + len(found - truth), missed + len(truth - found)
        for word, pairs in (("not declared", found - truth), ("not found", truth - found)):
            for pair in sorted(pairs):
                print(f"{what}: {name}: {word}: {'/'.join(pair)}", file=sys.stderr)
    precision, recall = both / (both + extra), both / (both + missed)
    print(f"{what}: {graphs} graphs, {both} right, {extra} extra, {missed} missed", file=sys.stderr)
    return precision, recall


def main() -> None:
    """Each figure is the worst of the three comparisons."""
    given = templates()
    with tempfile.TemporaryDirectory() as folder:
        lay_out(given.workflows, Path(folder, "models"))
        arguments = ("--models-directory", str(Path(folder, "models")))
        folders = model_folders(find_install(bench_install(), arguments=arguments))
        rows = [
            tell("templates", in_templates(given, folders, given.object_info)),
            tell("templates, lists emptied", in_templates(given, folders, emptied(given.object_info))),
            tell("ours", in_ours(Path(folder))),
        ]
    for index, name in enumerate(("models-precision", "models-recall")):
        value = round(min(row[index] for row in rows), 4)
        figure = {"name": name, "value": value, "unit": "ratio", "goal": f">= {GOAL}", "met": value >= GOAL}
        print(json.dumps(figure))


main()
