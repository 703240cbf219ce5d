"""Contracts → the OpenAPI 3.1 document of a gateway that serves them, with one concrete path for each workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .models import MEDIA_TYPES, Contract
from .openapi_parts import EXECUTION, JOB_HEADERS, PARAMETERS, PROBLEM, answers, schema_ref
from .schema import Schema, example_parameters, parameters_schema, result_schema

_JSON = "application/json"


def openapi(
    contracts: Sequence[Contract],
    *,
    title: str,
    version: str,
    description: str = "",
    servers: Sequence[str] = (),
    keys: bool = True,
) -> dict[str, Any]:
    """The OpenAPI 3.1.0 document of the web API that serves `contracts`.

    Args:
        version: of the API, e.g. the capsule's id.
        servers: URLs; without them the document's own origin is meant.
        keys: whether the gateway asks for API keys.

    Source of the form: OpenAPI Specification 3.1.0; its schemas are JSON Schema 2020-12.
    """
    schemas: Schema = {"Problem": PROBLEM, "Execution": EXECUTION}
    paths: dict[str, Any] = {}
    for contract in contracts:
        stem = _stem(contract)
        schemas[f"{stem}Parameters"] = parameters_schema(contract)
        schemas[f"{stem}Outputs"] = result_schema(contract)
        schemas[f"{stem}Execution"] = _execution_of(contract)
        paths[f"/workflows/{contract.name}"] = {"post": _run(contract)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, **({"description": description} if description else {})},
        **({"servers": [{"url": url} for url in servers]} if servers else {}),
        "tags": [
            {"name": "workflows", "description": "Running them, and what they take."},
            {"name": "executions", "description": "Runs: their state, their outputs."},
            {"name": "gateway", "description": "The gateway itself."},
        ],
        "paths": {**paths, **_workflow_paths(), **_execution_paths(), **_gateway_paths()},
        "components": {"schemas": schemas, "parameters": PARAMETERS},
    }
    if keys:
        document["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key of the gateway."}
        }
        document["security"] = [{"key": []}]
    return document


def _stem(contract: Contract) -> str:
    """``hello-world`` → ``HelloWorld``, the beginning of the names of its schemas."""
    return "".join(part[:1].upper() + part[1:] for part in contract.name.replace("_", "-").split("-"))


def _execution_of(contract: Contract) -> Schema:
    """An execution whose outputs are those of `contract`."""
    return {
        "allOf": [
            schema_ref("Execution"),
            {"type": "object", "properties": {"outputs": schema_ref(f"{_stem(contract)}Outputs")}},
        ]
    }


def _run(contract: Contract) -> dict[str, Any]:
    stem = _stem(contract)
    media = [each for each in contract.inputs if each.type in MEDIA_TYPES]
    example = example_parameters(contract)
    content: dict[str, Any] = {
        _JSON: {
            "schema": schema_ref(f"{stem}Parameters"),
            "examples": {"defaults": {"summary": "The workflow's own values", "value": example}},
        }
    }
    if media:
        content["multipart/form-data"] = _multipart(contract)
    described = [contract.description, f"Gives {', '.join(each.name for each in contract.outputs)}."]
    finished = {_JSON: {"schema": schema_ref(f"{stem}Execution")}}
    return {
        "operationId": f"run_{contract.name.replace('-', '_')}",
        "tags": ["workflows"],
        "summary": f"Run {contract.title or contract.name}",
        "description": " ".join(part for part in described if part and contract.outputs) or contract.name,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in ("Prefer", "IdempotencyKey")],
        "requestBody": {"required": any(each.required for each in contract.inputs), "content": content},
        "responses": {
            "200": {"description": "It has ended well; the outputs are in it.", "content": finished},
            "202": {
                "description": "It is queued or running; ask again at Location.",
                "headers": JOB_HEADERS,
                "content": finished,
            },
            **answers("400", "401", "404", "409", "413", "415", "422", "429", "500", "503", "504"),
        },
    }


def _multipart(contract: Contract) -> dict[str, Any]:
    """Files as parts of their own, named as the parameter; all else in one JSON part, so that no text is guessed at."""
    files = [each for each in contract.inputs if each.type in MEDIA_TYPES]
    names = {each.name for each in files}
    whole = parameters_schema(contract)
    rest = {
        "type": "object",
        "properties": {name: schema for name, schema in whole["properties"].items() if name not in names},
        "additionalProperties": False,
    }
    kinds = {each.name: "application/octet-stream" if each.type == "file" else _media_type(each.type) for each in files}
    properties: dict[str, Any] = {"parameters": {**rest, "description": "All parameters that are no files."}}
    for each in files:
        properties[each.name] = {"title": each.title or each.name, "contentMediaType": kinds[each.name]}
    required = [each.name for each in files if each.required]
    return {
        "schema": {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        },
        "encoding": {
            "parameters": {"contentType": _JSON},
            **{name: {"contentType": kind} for name, kind in kinds.items()},
        },
    }


def _media_type(kind: str) -> str:
    return "image/*" if kind == "mask" else f"{kind}/*"


def _workflow_paths() -> dict[str, Any]:
    listed: Schema = {
        "type": "object",
        "properties": {
            "workflows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {key: {"type": "string"} for key in ("name", "title", "description")},
                    "required": ["name"],
                },
            }
        },
        "required": ["workflows"],
    }
    name = [{"$ref": "#/components/parameters/Workflow"}]
    return {
        "/workflows": {"get": _get("list_workflows", "workflows", "The workflows that are served", listed, "401")},
        "/workflows/{name}/schema": {
            "parameters": name,
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


def _execution_paths() -> dict[str, Any]:
    execution = schema_ref("Execution")
    listed: Schema = {
        "type": "object",
        "properties": {"executions": {"type": "array", "items": execution}},
        "required": ["executions"],
    }
    one = {"$ref": "#/components/parameters/Execution"}
    output = [one, *({"$ref": f"#/components/parameters/{name}"} for name in ("Output", "Index"))]
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
            **answers("401", "404", "409"),
        },
    }
    return {
        "/executions": {"get": _get("list_executions", "executions", "The executions of this key", listed, "401")},
        "/executions/{id}": {
            "parameters": [one],
            "get": _get("get_execution", "executions", "One execution", execution, "401", "404"),
        },
        "/executions/{id}/outputs/{output}/{index}": {"parameters": output, "get": bytes_of},
        "/executions/{id}/cancel": {"parameters": [one], "post": cancel},
    }


def _gateway_paths() -> dict[str, Any]:
    anything: Schema = {"type": "object"}
    live = _get("livez", "gateway", "Whether the process lives", anything)
    ready = _get("readyz", "gateway", "Whether it can run workflows now", anything, "503")
    document = _get("openapi_document", "gateway", "This document", anything)
    for each in (live, ready, document):
        each["security"] = []
    return {"/livez": {"get": live}, "/readyz": {"get": ready}, "/openapi.json": {"get": document}}


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
