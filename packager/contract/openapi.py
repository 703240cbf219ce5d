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
from .openapi_paths import fixed_paths, get_operation
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
        "paths": {**paths, **fixed_paths()},
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
            "Prefer", "IdempotencyKey", "Priority", *_WEBHOOK[:webhooks], "Inline", "Previews", "CancelOnDisconnect"
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
    return get_operation(f"describe{_stem(contract)}", "workflows", summary, {"type": "object"}, "401")


def _run_batch(contract: Contract, webhooks: bool) -> dict[str, Any]:
    stem = _stem(contract)
    items = {"type": "array", "minItems": 1, "items": schema_ref(f"{stem}Parameters")}
    body = {"type": "object", "properties": {"items": items}, "required": ["items"], "additionalProperties": False}
    return {
        "operationId": f"runBatchOf{stem}",
        "tags": ["batches"],
        "summary": f"Run {contract.title or contract.name} many times",
        "description": "All of them are queued, or none; a wrong one is named by its place, `item`.",
        "parameters": parameter_refs("IdempotencyKey", "Priority", *_WEBHOOK[:webhooks], "Previews"),
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
