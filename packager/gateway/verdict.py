"""Reading ComfyUI: what its history says of a run, and what its events say of the way there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..capsule import ApiGraph
from ..comfy import Event, GraphRefused
from .models import State
from .problems import Problem

#: After these the process can use its GPU no more, whatever it is asked (CUDA's "sticky" errors, and a lost device).
_GPU = re.compile(
    r"CUDA error: (?!out of memory)|HIP error: (?!out of memory)|device-side assert|illegal memory access"
    r"|CUBLAS_STATUS_(?:NOT_INITIALIZED|EXECUTION_FAILED)|CUDNN_STATUS_(?:NOT_INITIALIZED|EXECUTION_FAILED)"
)

#: Events after which the history has, or is about to have, the run.
LAST = frozenset({"execution_error", "execution_interrupted"})


@dataclass(frozen=True)
class Verdict:
    """How a run ended, as ComfyUI's history says."""

    state: State
    problem: Problem | None = None


def judge(entry: Mapping[str, Any], graph: ApiGraph) -> Verdict:
    """The verdict on a history entry (execution.py, ``PromptQueue.task_done``, ComfyUI 0.30.0)."""
    status: Mapping[str, Any] = entry.get("status") or {}
    said = {message[0]: message[1] for message in status.get("messages") or [] if len(message) == 2}
    if status.get("status_str", "success") == "success":
        return Verdict("succeeded")
    if "execution_interrupted" in said:
        return Verdict("cancelled", Problem("cancelled", "The execution was stopped before it ended."))
    error: Mapping[str, Any] = said.get("execution_error") or {}
    what = str(error.get("exception_message") or "ComfyUI gives no reason").strip()
    node = node_words(str(error.get("node_id", "")), graph, str(error.get("node_type", "")))
    exception = str(error.get("exception_type", ""))
    code, cure = _kind(exception, what)
    words = f"The node {name_of(node)} failed: {what}"
    return Verdict("failed", Problem(code, words, cure, node=node, exception=exception))


def _kind(exception: str, what: str) -> tuple[str, str]:
    """The code and the cure for what a node raised."""
    if exception.rpartition(".")[2] in ("OutOfMemoryError", "MemoryError") or "CUDA out of memory" in what:
        return "out-of-memory", "Ask for less at once: a smaller picture, a smaller batch, fewer frames."
    if _GPU.search(what):
        return "gpu-failed", "Try again: a ComfyUI of the gateway's own is started anew."
    return "node-failed", "Correct the parameter that it works on; if none is wrong, the workflow or its pack is."


def refusal(refused: GraphRefused, graph: ApiGraph) -> Problem:
    """The problem for a graph that ComfyUI did not accept, pointing at its first node."""
    extra_info: Mapping[str, Any] = refused.error.get("extra_info") or {}
    nodes = [node_words(id, graph, str(errors.get("class_type", ""))) for id, errors in refused.node_errors.items()]
    if not nodes and extra_info.get("node_id"):
        nodes = [node_words(str(extra_info["node_id"]), graph, str(extra_info.get("class_type") or ""))]
    extra: dict[str, Any] = {"node": nodes[0], "nodes": nodes} if nodes else {}
    return Problem("graph-refused", refused.message, refused.cure, **extra)


def node_words(id: str, graph: ApiGraph, class_type: str = "") -> dict[str, str]:
    """A node as clients see it: ``{"id", "class", "title"}``."""
    node = graph.get(id) or {}
    class_type = class_type or str(node.get("class_type", ""))
    return {"id": id, "class": class_type, "title": str((node.get("_meta") or {}).get("title") or class_type)}


def name_of(node: Mapping[str, str]) -> str:
    """``12 (KSampler, "Refine")``."""
    title = f', "{node["title"]}"' if node["title"] != node["class"] else ""
    return f"{node['id']} ({node['class']}{title})"


def progress_of(event: Event, graph: ApiGraph) -> dict[str, Any] | None:
    """``{"node", "value", "max", "nodes_done", "nodes_total"}`` from an event, None when it tells none."""
    if event.kind == "progress_state":
        nodes: Mapping[str, Any] = event.data.get("nodes") or {}
        done = sum(1 for node in nodes.values() if node.get("state") == "finished")
        running = next((node for node in nodes.values() if node.get("state") == "running"), None)
        told: dict[str, Any] = {"nodes_done": done, "nodes_total": len(graph)}
        if running:
            id = str(running.get("display_node_id") or running.get("node_id", ""))
            told |= {"node": node_words(id, graph), "value": running.get("value"), "max": running.get("max")}
        return told
    if event.kind == "executing" and event.data.get("node") is not None:
        return {"node": node_words(str(event.data.get("display_node") or event.data["node"]), graph)}
    return None
