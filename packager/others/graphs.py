"""A workflow or a picture alone: the node types it uses, and the packs and models that its nodes name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..capsule import Finding, Lock
from ..command import without_credentials
from ..workflow import WorkflowFile, used_classes
from .findings import named_only, not_said, version_differs
from .models import Described

_CORE = "comfy-core"  # what the front-end notes for ComfyUI's own nodes
_UNKNOWN = "an unknown version"
_MOST = 500  # findings of a kind
_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx", ".sft")


def read_graphs(file: WorkflowFile) -> Described:
    """What the graphs say of what they need: names, and no bytes.

    The front-end notes in ``node.properties`` which pack a node is of: ``cnr_id`` or ``aux_id``, and ``ver``; and under
    ``models`` where its models are (ComfyUI_frontend, ``src/schemas/nodeDefSchema.ts``, ``workflowSchema.ts``).
    """
    findings = [*_packs(file.ui or {}), *_models(file)]
    return Described(form="workflow", ui=file.ui, api=file.api, findings=tuple(findings))


def node_types(said: Described) -> tuple[str, ...]:
    """The node types of the workflow in `said`, sorted; of the API graph where there is one."""
    if said.api:
        return tuple(sorted(used_classes(said.api)))
    return tuple(sorted({str(node.get("type")) for node in _nodes(said.ui or {}) if node.get("type")}))


def version_findings(said: Described, lock: Lock) -> tuple[Finding, ...]:
    """Where ComfyUI and packs are others in `lock` than the workflow notes; what it does not note is not compared."""
    noted = {name: versions - {_UNKNOWN} for name, versions in _noted(said.ui or {}).items()}
    here = {pack.registry.partition("@")[0]: pack.registry.partition("@")[2] for pack in lock.packs if pack.registry}
    here |= {_owner_and_name(pack.origin): pack.commit for pack in lock.packs if pack.kind == "git"}
    here[_CORE] = lock.comfyui.version
    return tuple(
        version_differs("ComfyUI" if name == _CORE else name, ", ".join(sorted(noted[name])[:5]), here[name])
        for name in sorted(noted.keys() & here.keys())
        if noted[name] and here[name] and here[name] not in noted[name]
    )


def _owner_and_name(origin: str) -> str:
    """``owner/name``, as ``aux_id`` has it."""
    return "/".join(re.split(r"[/:]", origin.removesuffix("/").removesuffix(".git"))[-2:])


def _nodes(ui: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The nodes of the root and of every subgraph's definition."""
    definitions = ui.get("definitions")
    inner = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    for graph in (ui, *(inner if isinstance(inner, list) else ())):
        nodes = graph.get("nodes") if isinstance(graph, Mapping) else None
        yield from (node for node in (nodes if isinstance(nodes, list) else ()) if isinstance(node, Mapping))


def _properties(ui: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for node in _nodes(ui):
        if isinstance(said := node.get("properties"), Mapping):
            yield said


def _noted(ui: Mapping[str, Any]) -> dict[str, set[str]]:
    """The versions that nodes note, by their pack: of the registry a version, else a commit."""
    found: dict[str, set[str]] = {}
    for said in _properties(ui):
        if name := str(said.get("cnr_id") or said.get("aux_id") or ""):
            found.setdefault(name, set()).add(str(said.get("ver") or _UNKNOWN))
    return found


def _packs(ui: Mapping[str, Any]) -> Iterator[Finding]:
    found = _noted(ui)
    for name in sorted(found.keys() - {_CORE})[:_MOST]:
        versions = ", ".join(sorted(found[name])[:5])
        message = f"Nodes are of the pack {name!r} ({versions}), of which the file holds nothing else."
        yield named_only(name, message, "Give the ComfyUI that has it with --comfy DIR.")
    if core := sorted(found.get(_CORE, set()) - {_UNKNOWN}):
        message = f"ComfyUI's own nodes were of version {', '.join(core[:5])}; which commit that was, nobody noted."
        yield not_said("ComfyUI", message)


def _models(file: WorkflowFile) -> Iterator[Finding]:
    found: dict[str, str] = {}
    for said in _properties(file.ui or {}):
        listed = said.get("models")
        for model in listed if isinstance(listed, list) else ():
            if isinstance(model, Mapping) and model.get("name"):
                where = without_credentials(str(model.get("url") or ""))
                found[str(model["name"])] = f" from {where}" if where else ""
    for entry in (file.api or {}).values():
        inputs = entry.get("inputs")
        for value in inputs.values() if isinstance(inputs, Mapping) else ():
            if isinstance(value, str) and value.lower().endswith(_SUFFIXES):
                found.setdefault(value, "")
    for name in sorted(found)[:_MOST]:
        yield Finding(
            code="model-named",
            subject=name,
            message=f"The workflow names the model {name!r}{found[name]}; the file has not its bytes.",
            cure="Put it into the ComfyUI's models folder before you export.",
            blocks=True,
        )
