"""The parts of the OpenAPI document that are the same for every contract: executions, problems, headers."""

from __future__ import annotations

from typing import Any

from .schema import Schema


def schema_ref(name: str) -> Schema:
    """A reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


PROBLEM: Schema = {
    "title": "Problem",
    "description": "What went wrong, as problem details (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, e.g. invalid-parameters."},
        "detail": {"type": "string", "description": "What happened, and to what."},
        "cure": {"type": "string", "description": "What to do about it."},
        "errors": {
            "type": "array",
            "description": "Of parameters: each one that is wrong.",
            "items": {
                "type": "object",
                "properties": {key: {"type": "string"} for key in ("parameter", "message", "allowed")},
                "required": ["parameter", "message"],
            },
        },
        "node": {"type": "object", "description": "The node that failed: its id, class and title."},
    },
    "required": ["type", "title", "status", "code"],
}

_STATES = ["queued", "running", "succeeded", "failed", "cancelled", "lost"]

EXECUTION: Schema = {
    "title": "Execution",
    "description": "One run of a workflow.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "workflow": {"type": "string"},
        "state": {"enum": _STATES},
        "parameters": {"type": "object", "description": "As they were bound: drawn seeds and defaults included."},
        "outputs": {"type": "object", "description": "By name; whole when the state is succeeded."},
        "problem": {"anyOf": [schema_ref("Problem"), {"type": "null"}]},
    },
    "required": ["id", "workflow", "state"],
}

JOB_HEADERS: dict[str, Any] = {
    "Location": {
        "description": "Where the execution is.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}


def _path(name: str, description: str, schema: Schema | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema or {"type": "string"},
    }


PARAMETERS: dict[str, Any] = {
    "Workflow": _path("name", "The workflow's name."),
    "Execution": _path("id", "The execution's id."),
    "Output": _path("output", "The output's name, as in the contract."),
    "Index": _path("index", "Which of its items, from 0.", {"type": "integer", "minimum": 0}),
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N` waits up to N seconds for the end; `respond-async` not at all (RFC 7240).",
        "schema": {"type": "string"},
        "example": "wait=30",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same parameters gives the same execution, not a second one.",
        "schema": {"type": "string", "maxLength": 255},
    },
}

_ANSWERS = {
    "400": "The request cannot be read.",
    "401": "An API key is needed.",
    "404": "There is no such thing.",
    "409": "It goes against what was asked before, or against its state.",
    "413": "The body is too large.",
    "415": "The body's type is not understood.",
    "422": "The parameters do not fit the contract; each one that is wrong is named.",
    "429": "Too many executions are waiting.",
    "500": "The workflow or the gateway failed.",
    "503": "It cannot run workflows now.",
    "504": "The execution took too long.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}


def answers(*statuses: str) -> dict[str, Any]:
    """The answers with the given error statuses, each a problem document."""
    found: dict[str, Any] = {}
    for status in statuses:
        found[status] = {
            "description": _ANSWERS[status],
            **({"headers": _RETRY} if status in ("429", "503") else {}),
            "content": {"application/problem+json": {"schema": schema_ref("Problem")}},
        }
    return found
