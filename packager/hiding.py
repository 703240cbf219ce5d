"""A capsule without its secrets: each is replaced by ``${secret:NAME}`` wherever it stands, and told of by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .capsule import ApiGraph, Capsule, Finding, InputFile, Lock, sha256_bytes
from .contract import Contract
from .secrets import (
    SECRET_PREFIX,
    Vault,
    collect_named,
    has_token,
    placeholder,
    rewrite_texts,
    secret_names,
    through_json,
)
from .snapshot import parts_of, secret_carried

_SINGLE = ("inputs/", "files/")  # entries of one file each, which can be left out; a pack's go together


def without_secrets(capsule: Capsule) -> Capsule:
    """`capsule` with its secrets replaced, and a finding for each; the very same one when it has none.

    Input files that hold a secret where it cannot be replaced are left out; packs cannot be changed, only told of.
    """
    vault = Vault(secret_names([capsule.graph, capsule.workflow]))
    collect_named(capsule.graph, vault, "the API graph", capsule.object_info)
    collect_named(capsule.workflow, vault, "the workflow", capsule.object_info)
    collect_named(capsule.object_info, vault, "the node definitions")
    hidden, known = _hidden(capsule, vault), -1
    while known != len(vault.places):  # a secret that is known by its place in one text may stand bare in another
        known = len(vault.places)
        hidden = _hidden(capsule, vault)
    found = _findings(capsule, hidden, vault)
    if not found:
        return capsule if hidden.files == capsule.files and hidden.graph == capsule.graph else hidden
    findings = sorted({*hidden.lock.findings, *found}, key=lambda each: (not each.blocks, each.code, each.subject))
    return dataclasses.replace(hidden, lock=hidden.lock.model_copy(update={"findings": tuple(findings)}))


def graphs_without_secrets(
    workflow: Mapping[str, Any], graph: ApiGraph, object_info: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ApiGraph]:
    """The editor graph and the API graph alone, with their secrets replaced."""
    vault = Vault(secret_names([graph, workflow]))
    collect_named([graph, workflow], vault, "the workflow", object_info)
    return vault.hide_all(workflow, "the workflow"), vault.hide_all(graph, "the API graph")


def _hidden(capsule: Capsule, vault: Vault) -> Capsule:
    graph = {node: vault.hide_all(entry, _node(node, entry)) for node, entry in capsule.graph.items()}
    workflow = _workflow(capsule.workflow, vault)
    files = {name: _file(name, data, vault) for name, data in capsule.files.items()}
    kept = {name: data for name, data in files.items() if not name.startswith(_SINGLE) or not _holds(data, vault)}
    return dataclasses.replace(
        capsule,
        lock=_lock(capsule.lock, kept, vault),
        workflow=workflow,
        graph=graph,
        contract=_contract(capsule.contract, vault),
        object_info=vault.hide_all(capsule.object_info, "the node definitions"),
        files=kept,
    )


def _node(node: str, entry: Mapping[str, Any]) -> str:
    title = (entry.get("_meta") or {}).get("title")
    shown = f" {title!r}" if title and title != entry.get("class_type") else ""
    return f"node {node}{shown} ({entry.get('class_type')})"


def _workflow(workflow: Mapping[str, Any], vault: Vault) -> dict[str, Any]:
    """The editor graph; a place in a node is told by the node."""

    def graph(held: Mapping[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = {}
        if isinstance(held.get("nodes"), list):
            done["nodes"] = [vault.hide_all(each, _editor_node(each)) for each in held["nodes"]]
        if "definitions" in held:
            done["definitions"] = definitions(held["definitions"])
        done |= vault.hide_all({key: value for key, value in held.items() if key not in done}, "the workflow")
        return {key: done[key] for key in [*held, *done] if key in done}  # in the editor's order

    def definitions(held: Any) -> Any:
        graphs = held.get("subgraphs") if isinstance(held, Mapping) else None
        if not isinstance(graphs, list):
            return vault.hide_all(held, "the workflow")
        inner = [graph(each) if isinstance(each, Mapping) else each for each in graphs]
        return {**vault.hide_all({**held, "subgraphs": None}, "the workflow"), "subgraphs": inner}

    return graph(workflow)


def _editor_node(node: Any) -> str:
    if not isinstance(node, Mapping):
        return "the workflow"
    title = f" {node['title']!r}" if node.get("title") and node.get("title") != node.get("type") else ""
    return f"node {node.get('id')}{title} ({node.get('type')})"


def _contract(contract: Contract, vault: Vault) -> Contract:
    where = "the contract"

    def fields(model: Any, *names: str) -> Any:
        return model.model_copy(update={name: vault.hide_all(getattr(model, name), where) for name in names})

    inputs = tuple(fields(each, "title", "description", "group", "default") for each in contract.inputs)
    outputs = tuple(fields(each, "title", "description") for each in contract.outputs)
    texts = fields(contract, "title", "description")
    changed: Contract = texts.model_copy(update={"inputs": inputs, "outputs": outputs})
    return changed


def _lock(lock: Lock, files: Mapping[str, bytes], vault: Vault) -> Lock:
    kept = [each for each in lock.inputs if f"inputs/{each.name}" in files]
    inputs = [(each.name, files[f"inputs/{each.name}"]) for each in kept]
    findings = [Finding.model_validate(vault.hide_all(each.model_dump(), "a finding")) for each in lock.findings]
    observed = vault.hide_all(lock.observed.model_dump(mode="json"), "what was observed")
    return lock.model_copy(
        update={
            "message": vault.hide(lock.message, "the message"),
            "inputs": tuple(InputFile(name=name, size=len(data), sha256=sha256_bytes(data)) for name, data in inputs),
            "files": tuple(each for each in lock.files if not each.carried or each.carried in files),
            "findings": tuple(findings),
            "observed": type(lock.observed).model_validate(observed),
        }
    )


def _file(name: str, data: bytes, vault: Vault) -> bytes:
    if not name.startswith("inputs/"):
        return data
    where = f"the metadata of {name}"

    def change(said: Any) -> Any:
        collect_named(said, vault, where)  # graphs of other workflows have widgets, too
        return vault.hide_all(said, where)

    return rewrite_texts(data, lambda text: through_json(text, change))


def _holds(data: bytes, vault: Vault) -> bool:
    """Whether a secret stands readable in a file: any that is known here, and what is surely a token or key."""
    return vault.in_bytes(data) or has_token(data)


def _findings(capsule: Capsule, hidden: Capsule, vault: Vault) -> list[Finding]:
    found = [_replaced(name, vault.shown(places[0]), len(places)) for name, places in vault.places.items() if places]
    for name, data in capsule.files.items():
        if name not in hidden.files:
            found.append(_left_out(name))
        elif not name.startswith(_SINGLE) and any(_holds(part, vault) for part in parts_of(name, data)):
            found.append(secret_carried(name))
    return found


def _replaced(name: str, where: str, places: int) -> Finding:
    more = f" and {places - 1} more place{'s' if places > 2 else ''}" if places > 1 else ""
    return Finding(
        code="secret-replaced",
        subject=name,
        message=f"A secret in {where}{more} is replaced by {placeholder(name)}.",
        cure=f"Give it to whatever runs the capsule: {SECRET_PREFIX}{name} in the environment, or a file {name}.",
    )


def _left_out(name: str) -> Finding:
    return Finding(
        code="secret-file-left-out",
        subject=name,
        message=f"The file {name} holds a secret where it cannot be replaced, and is not carried.",
        cure="Take the secret out of the file, and export again.",
        blocks=True,
    )
