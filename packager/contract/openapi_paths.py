"""The paths of a gateway that are the same whatever it serves."""

from __future__ import annotations

from typing import Any

from .openapi_parts import JOB_HEADERS, answers, parameter_refs, schema_ref
from .schema import Schema

_JSON = "application/json"


def fixed_paths() -> dict[str, Any]:
    """The Paths Object of executions, batches, files, the list of workflows, and the gateway itself."""
    return {**_workflow_paths(), **_execution_paths(), **_batch_paths(), **_file_paths(), **_gateway_paths()}


def _batch_paths() -> dict[str, Any]:
    batch = schema_ref("Batch")
    cancel = {
        "operationId": "cancel_batch",
        "tags": ["batches"],
        "summary": "Cancel what waits or runs of a batch",
        "responses": {
            "200": {"description": "It has ended.", "content": {_JSON: {"schema": batch}}},
            "202": {"description": "What runs is being stopped.", "content": {_JSON: {"schema": batch}}},
            **answers("401", "404", "409", "429"),
        },
    }
    return {
        "/batches/{id}": {
            "parameters": parameter_refs("Batch"),
            "get": get_operation("get_batch", "batches", "One batch", batch, "401", "404"),
        },
        "/batches/{id}/cancel": {"parameters": parameter_refs("Batch"), "post": cancel},
    }


def _workflow_paths() -> dict[str, Any]:
    listed: Schema = {
        "type": "object",
        "properties": {
            "workflows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {key: {"type": "string"} for key in ("name", "title", "description", "capsule")},
                    "required": ["name"],
                },
            }
        },
        "required": ["workflows"],
    }
    return {
        "/workflows": {
            "get": get_operation("list_workflows", "workflows", "The workflows that are served", listed, "401")
        },
        "/workflows/{name}/schema": {
            "parameters": parameter_refs("Workflow"),
            "get": get_operation(
                "workflow_schema",
                "workflows",
                "The JSON Schema 2020-12 of a workflow's parameters",
                {"type": "object"},
                "401",
                "404",
            ),
        },
    }


#: Each event of a stream, as its reader has it (WHATWG HTML, server-sent events); `data` is JSON.
_EVENT: Schema = {
    "type": "object",
    "properties": {
        "event": {"enum": ["state", "progress", "preview", "end"]},
        "data": {"type": "string", "contentMediaType": _JSON},
        "id": {"type": "string"},
    },
    "required": ["event", "data"],
}
_PREVIEW: dict[str, Any] = {
    "operationId": "get_preview",
    "tags": ["executions"],
    "summary": "The latest picture of what it has so far",
    "description": "While it runs, where previews were asked for; each new one is an event, `preview`.",
    "responses": {
        "200": {
            "description": "The picture.",
            "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **answers("401", "404"),
    },
}
_EVENTS: dict[str, Any] = {
    "operationId": "execution_events",
    "tags": ["executions"],
    "summary": "Follow an execution",
    "description": "Server-sent events `state`, `progress`, `preview`, and `end` with the whole execution. "
    "Last-Event-ID resumes.",
    "responses": {
        "200": {"description": "The events.", "content": {"text/event-stream": {"schema": _EVENT}}},
        **answers("401", "404"),
    },
}


def _execution_paths() -> dict[str, Any]:
    execution = schema_ref("Execution")
    listed: Schema = {
        "type": "object",
        "properties": {"executions": {"type": "array", "items": execution}},
        "required": ["executions"],
    }
    bytes_of = {
        "operationId": "execution_output",
        "tags": ["executions"],
        "summary": "The bytes of one item of an output",
        "responses": {
            "200": {"description": "The bytes, under their own media type.", "content": {"*/*": {"schema": {}}}},
            "206": {"description": "The part that Range asked for.", "content": {"*/*": {"schema": {}}}},
            **answers("401", "404"),
        },
    }
    cancel = {
        "operationId": "cancel_execution",
        "tags": ["executions"],
        "summary": "Cancel an execution that is queued or running",
        "responses": {
            "200": {"description": "The execution as it is now.", "content": {_JSON: {"schema": execution}}},
            "202": {"description": "It is being stopped.", "content": {_JSON: {"schema": execution}}},
            **answers("401", "404", "409", "429"),
        },
    }
    return {
        "/executions": {
            "parameters": parameter_refs("OfWorkflow", "InState", "Limit", "Before"),
            "get": get_operation(
                "list_executions", "executions", "The executions of this key, newest first", listed, "400", "401"
            ),
        },
        "/executions/{id}": {
            "parameters": parameter_refs("Execution", "Prefer", "Inline"),
            "get": get_operation("get_execution", "executions", "One execution", execution, "400", "401", "404"),
        },
        "/executions/{id}/preview": {"parameters": parameter_refs("Execution"), "get": _PREVIEW},
        "/executions/{id}/outputs/{output}/{index}": {
            "parameters": parameter_refs("Execution", "Output", "Index"),
            "get": bytes_of,
        },
        "/executions/{id}/cancel": {"parameters": parameter_refs("Execution"), "post": cancel},
        "/executions/{id}/events": {"parameters": parameter_refs("Execution"), "get": _EVENTS},
    }


_FILE_HEADERS = {"Location": {**JOB_HEADERS["Location"], "description": "Where the file is."}}


def _file_paths() -> dict[str, Any]:
    bare: Schema = {"type": "string", "minLength": 1, "contentMediaType": "application/octet-stream"}
    binary: Schema = {"application/octet-stream": {"schema": bare}}
    form: Schema = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    }
    stored = {"description": "It is stored.", "content": {_JSON: {"schema": schema_ref("File")}}}
    upload = {
        "operationId": "upload_file",
        "tags": ["files"],
        "summary": "Upload a file",
        "parameters": parameter_refs("Filename"),
        "requestBody": {"required": True, "content": {**binary, **form}},
        "responses": {"201": {**stored, "headers": _FILE_HEADERS}, **answers("400", "401", "413", "429")},
    }
    download = {
        "operationId": "get_file",
        "tags": ["files"],
        "summary": "The bytes of an upload",
        "responses": {
            "200": {"description": "The bytes, under their own media type.", "content": {"*/*": {"schema": {}}}},
            **answers("401", "404"),
        },
    }
    return {
        "/files": {"post": upload},
        "/files/{id}": {"parameters": parameter_refs("File"), "get": download},
    }


def _gateway_paths() -> dict[str, Any]:
    anything: Schema = {"type": "object"}
    live = get_operation("livez", "gateway", "Whether the process lives", anything)
    ready = get_operation("readyz", "gateway", "Whether it can run workflows now", anything, "503")
    document = get_operation("openapi_document", "gateway", "This document", anything)
    for each in (live, ready, document):
        each["security"] = []
    return {
        "/livez": {"get": live},
        "/readyz": {"get": ready},
        "/metrics": {"get": _METRICS},
        "/openapi.json": {"get": document},
        "/session": _session(),
    }


_METRICS: dict[str, Any] = {
    "operationId": "metrics",
    "tags": ["gateway"],
    "summary": "What Prometheus asks for",
    "responses": {
        "200": {
            "description": "The text format, version 0.0.4.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **answers("401"),
    },
}


def _session() -> dict[str, Any]:
    """What the page at ``/`` uses; programs send their key with each request."""
    key = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    needed = {"type": "object", "properties": {"needed": {"type": "boolean"}}, "required": ["needed"]}
    begin = {
        "operationId": "begin_session",
        "tags": ["gateway"],
        "summary": "Trade an API key for a session cookie",
        "requestBody": {"required": True, "content": {_JSON: {"schema": key}}},
        "responses": {"204": {"description": "The cookie is set."}, **answers("400", "401", "413", "429")},
        "security": [],
    }
    end = {
        "operationId": "end_session",
        "tags": ["gateway"],
        "summary": "Forget the session cookie",
        "responses": {"204": {"description": "It is gone."}},
        "security": [],
    }
    ask = get_operation("session", "gateway", "Whether a key is needed here", needed, "401")
    return {"get": ask, "post": begin, "delete": end}


def get_operation(operation: str, tag: str, summary: str, schema: Schema, *errors: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "responses": {
            "200": {"description": f"{summary}.", "content": {_JSON: {"schema": schema}}},
            **answers(*errors),
        },
    }
