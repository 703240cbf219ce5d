"""ComfyUI's refusal of a graph, kept as it gave it, so that a caller can point at the node and input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from ..errors import CapsuleError


class GraphRefused(CapsuleError):
    """ComfyUI does not run this graph.

    Attributes:
        error: ``{"type", "message", "details", "extra_info"}`` of the whole; empty when only some outputs failed.
        node_errors: node id to ``{"class_type", "errors": [{"type", "message", "details", "extra_info"}],
            "dependent_outputs"}``, as ComfyUI answered (execution.py, ``validate_prompt``).
    """

    def __init__(self, message: str, error: dict[str, Any], node_errors: dict[str, Any]) -> None:
        super().__init__("graph-refused", message, "Correct the named node, or install what it needs.")
        self.error = error
        self.node_errors = node_errors

    @classmethod
    def of(cls, answer: Any, graph: Mapping[str, Any]) -> Self:
        """From the body of ``POST /prompt``."""
        body = answer if isinstance(answer, dict) else {}
        found = body.get("error") or {}
        error = dict(found) if isinstance(found, dict) else {"message": str(found)}
        node_errors = dict(body.get("node_errors") or {})
        said = [_of_node(node, node_errors[node], graph) for node in node_errors] or [_words(error)]
        more = f" (and {len(said) - 3} more)" if len(said) > 3 else ""
        return cls(f"ComfyUI refuses the graph: {'; '.join(said[:3])}{more}.", error, node_errors)


def _of_node(node: str, errors: Mapping[str, Any], graph: Mapping[str, Any]) -> str:
    title = (graph.get(node) or {}).get("_meta", {}).get("title") or errors.get("class_type", "")
    reasons = ", ".join(_words(error) for error in errors.get("errors", ()))
    return f"node {node} ({title}): {reasons}"


def _words(error: Mapping[str, Any]) -> str:
    parts = [str(error.get(key) or "").strip().rstrip(".") for key in ("message", "details")]
    return ": ".join(dict.fromkeys(part for part in parts if part)) or "no reason given"
