"""Contracts → the OpenAPI 3.1 document of a gateway that serves them, with one concrete path for each workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .models import MEDIA_TYPES, Contract
from .openapi_parts import (
    BATCH,
    CALLBACKS,
    EXECUTION,
    FILE,
    JOB_HEADERS,
    MESSAGE,
    PARAMETERS,
    PROBLEM,
    answers,
    parameter_refs,
    schema_ref,
)
from .schema import Schema, example_parameters, parameters_schema, result_schema

_JSON = "application/json"
_WEBHOOK = ("WebhookURL",)


def openapi(
    contracts: Sequence[Contract],
    *,
    title: str,
    version: str,
    description: str = "",
    servers: Sequence[str] = (),
    keys: bool = True,
    webhooks: bool = True,
) -> dict[str, Any]:
    """The OpenAPI 3.1.0 document of the web API that serves `contracts`.

    Args:
        version: of the API, e.g. the capsule's id.
        servers: URLs; without them the document's own origin is meant.
        keys: whether the gateway asks for API keys.
        webhooks: whether it sends them.

    Source of the form: OpenAPI Specification 3.1.0; its schemas are JSON Schema 2020-12.
    """
    schemas: Schema = {"Problem": PROBLEM, "Execution": EXECUTION, "Batch": BATCH, "File": FILE, "Webhook": MESSAGE}
    paths: dict[str, Any] = {}
    for contract in contracts:
        stem = _stem(contract)
        schemas[f"{stem}Parameters"] = parameters_schema(contract)
        schemas[f"{stem}Outputs"] = result_schema(contract)
        schemas[f"{stem}Execution"] = _execution_of(contract)
        paths[f"/workflows/{contract.name}"] = {"get": _contract(contract), "post": _run(contract, webhooks)}
        paths[f"/workflows/{contract.name}/batch"] = {"post": _run_batch(contract, webhooks)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, **({"description": description} if description else {})},
        **({"servers": [{"url": url} for url in servers]} if servers else {}),
        "tags": [
            {"name": "workflows", "description": "Running them, and what they take."},
            {"name": "executions", "description": "Runs: their state, their outputs."},
            {"name": "batches", "description": "Many runs under one handle."},
            {"name": "files", "description": "Uploads that parameters name."},
            {"name": "gateway", "description": "The gateway itself."},
        ],
        "paths": {
            **paths,
            **_workflow_paths(),
            **_execution_paths(),
            **_batch_paths(),
            **_file_paths(),
            **_gateway_paths(),
        },
        "components": {"schemas": schemas, "parameters": PARAMETERS},
    }
    if keys:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key of the gateway."},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
    return document


def _stem(contract: Contract) -> str:
    """``hello-world`` → ``HelloWorld``, the beginning of the names of its schemas."""
    return "".join(part[:1].upper() + part[1:] for part in contract.name.split("-"))


def _execution_of(contract: Contract) -> Schema:
    """An execution whose outputs are those of `contract`."""
    return {
        "allOf": [
            schema_ref("Execution"),
            {"type": "object", "properties": {"outputs": schema_ref(f"{_stem(contract)}Outputs")}},
        ]
    }


def _run(contract: Contract, webhooks: bool) -> dict[str, Any]:
    stem = _stem(contract)
    example = example_parameters(contract)
    content: dict[str, Any] = {
        _JSON: {
            "schema": schema_ref(f"{stem}Parameters"),
            "examples": {"defaults": {"summary": "The workflow's own values", "value": example}},
        }
    }
    if any(each.type in MEDIA_TYPES for each in contract.inputs):
        content["multipart/form-data"] = _multipart(contract)
    described = [contract.description, f"Gives {', '.join(each.name for each in contract.outputs)}."]
    finished = {_JSON: {"schema": schema_ref(f"{stem}Execution")}}
    return {
        "operationId": f"run{stem}",
        "tags": ["workflows"],
        "summary": f"Run {contract.title or contract.name}",
        "description": " ".join(part for part in described if part and contract.outputs) or contract.name,
        "parameters": parameter_refs(
            "Prefer", "IdempotencyKey", "Priority", *_WEBHOOK[:webhooks], "Inline", "CancelOnDisconnect"
        ),
        "requestBody": {"required": any(each.required for each in contract.inputs), "content": content},
        "responses": {
            "200": {
                "description": "It has ended well; the outputs are in it.",
                "headers": JOB_HEADERS,
                "content": finished,
            },
            "202": {
                "description": "It is queued or running; ask again at Location.",
                "headers": JOB_HEADERS,
                "content": finished,
            },
            **answers("400", "401", "404", "409", "413", "415", "422", "429", "500", "502", "503", "504"),
        },
        **({"callbacks": CALLBACKS} if webhooks else {}),
    }


def _contract(contract: Contract) -> dict[str, Any]:
    summary = f"The inputs and outputs of {contract.title or contract.name}, for people"
    return _get(f"describe{_stem(contract)}", "workflows", summary, {"type": "object"}, "401")


def _run_batch(contract: Contract, webhooks: bool) -> dict[str, Any]:
    stem = _stem(contract)
    items = {"type": "array", "minItems": 1, "items": schema_ref(f"{stem}Parameters")}
    body = {"type": "object", "properties": {"items": items}, "required": ["items"], "additionalProperties": False}
    return {
        "operationId": f"runBatchOf{stem}",
        "tags": ["batches"],
        "summary": f"Run {contract.title or contract.name} many times",
        "description": "All of them are queued, or none; a wrong one is named by its place, `item`.",
        "parameters": parameter_refs("IdempotencyKey", "Priority", *_WEBHOOK[:webhooks]),
        "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
        "responses": {
            "202": {
                "description": "They are queued; ask again at Location.",
                "headers": JOB_HEADERS,
                "content": {_JSON: {"schema": schema_ref("Batch")}},
            },
            **answers("400", "401", "404", "409", "413", "415", "422", "429", "500", "503"),
        },
    }


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
            "get": _get("get_batch", "batches", "One batch", batch, "401", "404"),
        },
        "/batches/{id}/cancel": {"parameters": parameter_refs("Batch"), "post": cancel},
    }


def _multipart(contract: Contract) -> dict[str, Any]:
    """Files as parts of their own, named as the parameter; all else in one JSON part, so that no text is guessed at.

    Nothing is required here that the JSON part could hold instead, such as ``{"file": id}``.
    """
    whole = parameters_schema(contract)
    media = {each.name: _media_type(each.type) for each in contract.inputs if each.type in MEDIA_TYPES}
    titles = {each.name: each.title or each.name for each in contract.inputs}
    parts = {name: {"title": titles[name], "type": "string", "contentMediaType": kind} for name, kind in media.items()}
    rest = {
        "type": "object",
        "description": "The parameters that are not parts of their own.",
        "properties": whole["properties"],
        "additionalProperties": False,
    }
    return {
        "schema": {"type": "object", "properties": {**parts, "parameters": rest}, "additionalProperties": False},
        "encoding": {name: {"contentType": kind} for name, kind in {**media, "parameters": _JSON}.items()},
    }


def _media_type(kind: str) -> str:
    return {"mask": "image/*", "file": "application/octet-stream"}.get(kind, f"{kind}/*")


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
        "/workflows": {"get": _get("list_workflows", "workflows", "The workflows that are served", listed, "401")},
        "/workflows/{name}/schema": {
            "parameters": parameter_refs("Workflow"),
            "get": _get(
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
        "event": {"enum": ["state", "progress", "end"]},
        "data": {"type": "string", "contentMediaType": _JSON},
        "id": {"type": "string"},
    },
    "required": ["event", "data"],
}
_EVENTS: dict[str, Any] = {
    "operationId": "execution_events",
    "tags": ["executions"],
    "summary": "Follow an execution",
    "description": "Server-sent events `state`, `progress`, and `end` with the whole execution; Last-Event-ID resumes.",
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
            "get": _get(
                "list_executions", "executions", "The executions of this key, newest first", listed, "400", "401"
            ),
        },
        "/executions/{id}": {
            "parameters": parameter_refs("Execution", "Prefer", "Inline"),
            "get": _get("get_execution", "executions", "One execution", execution, "400", "401", "404"),
        },
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
    live = _get("livez", "gateway", "Whether the process lives", anything)
    ready = _get("readyz", "gateway", "Whether it can run workflows now", anything, "503")
    document = _get("openapi_document", "gateway", "This document", anything)
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
    ask = _get("session", "gateway", "Whether a key is needed here", needed, "401")
    return {"get": ask, "post": begin, "delete": end}


def _get(operation: str, tag: str, summary: str, schema: Schema, *errors: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "responses": {
            "200": {"description": f"{summary}.", "content": {_JSON: {"schema": schema}}},
            **answers(*errors),
        },
    }
