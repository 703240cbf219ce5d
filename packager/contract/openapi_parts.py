"""The parts of the OpenAPI document that are the same for every contract: executions, problems, headers."""

from __future__ import annotations

from typing import Any

from .schema import Schema


def parameter_refs(*names: str) -> list[dict[str, Any]]:
    """References to the document's shared parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


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

_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_STATES = ["queued", "running", "succeeded", "failed", "cancelled", "lost"]

EXECUTION: Schema = {
    "title": "Execution",
    "description": "One run of a workflow.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "workflow": {"type": "string"},
        "capsule": {"type": "string", "description": "The digest of the capsule that ran."},
        "state": {"enum": _STATES},
        "parameters": {"type": "object", "description": "As they were bound: drawn seeds and defaults included."},
        "outputs": {"type": "object", "description": "By name; whole when the state is succeeded, else empty."},
        "problem": {"anyOf": [schema_ref("Problem"), {"type": "null"}]},
        "attempts": {"type": "integer", "minimum": 0},
        "progress": {"type": "object", "description": "While it runs: the node, and how far it is."},
        "cancel_requested": {"type": "boolean"},
        "priority": {"type": "integer", "minimum": 0, "maximum": 7, "description": "0 is the most urgent."},
        "batch": {"type": "string", "description": "Of an item of a batch: its id."},
        "created_at": _TIME,
        "started_at": _TIME,
        "finished_at": _TIME,
        "webhook": {
            "type": "object",
            "description": "Where one was asked for: how its delivery stands. Told of one execution, not in lists.",
            "properties": {
                "state": {
                    "enum": ["waiting", "pending", "delivered", "dead"],
                    "description": "waiting: for the end of the execution; pending: sent now, or once more later; "
                    "dead: given up.",
                },
                "attempts": {"type": "integer", "minimum": 0},
                "last_status": {"type": ["integer", "null"], "description": "What the receiver answered."},
                "last_error": {"type": ["string", "null"]},
                "next_attempt_at": _TIME,
                "delivered_at": _TIME,
            },
            "required": ["state", "attempts"],
        },
    },
    "required": ["id", "workflow", "state"],
}

#: What is sent to a Webhook-URL; any 2xx is a yes. Source of the headers and their meaning: Standard Webhooks 1.0.
MESSAGE: Schema = {
    "title": "Webhook",
    "description": "The end of an execution. It is signed by the rules of Standard Webhooks, and may come twice.",
    "type": "object",
    "properties": {
        "type": {"enum": [*(f"execution.{state}" for state in _STATES[2:]), "batch.ended"]},
        "timestamp": _TIME,
        "data": {
            "description": "The execution without its parameters, or the batch.",
            "anyOf": [schema_ref("Execution"), schema_ref("Batch")],
        },
    },
    "required": ["type", "timestamp", "data"],
}
#: What many executions under one handle are.
BATCH: Schema = {
    "title": "Batch",
    "description": "Many executions of one workflow under one handle; each succeeds or fails by itself.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "workflow": {"type": "string"},
        "state": {"enum": ["running", "ended"], "description": "ended: nothing more will happen to any item."},
        "total": {"type": "integer", "minimum": 1},
        "states": {
            "type": "object",
            "description": "How many items are in each state.",
            "properties": {state: {"type": "integer", "minimum": 0} for state in _STATES},
        },
        "items": {
            "type": "array",
            "description": "In the order in which they were given; what was forgotten by age is missing.",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "state": {"enum": _STATES},
                    "url": {"type": "string", "format": "uri-reference"},
                    "problem": schema_ref("Problem"),
                },
                "required": ["id", "state", "url"],
            },
        },
        "created_at": _TIME,
        "webhook": EXECUTION["properties"]["webhook"],
    },
    "required": ["id", "workflow", "state", "total", "states", "items"],
}
_MESSAGE_HEADERS = {
    "webhook-id": "The same over all tries.",
    "webhook-timestamp": "Of this try, in seconds since the epoch.",
    "webhook-signature": "One `v1,BASE64` for each secret, with spaces between.",
}
CALLBACKS: dict[str, Any] = {
    "ended": {
        "{$request.header.Webhook-URL}": {
            "post": {
                "summary": "Told of the execution's end",
                "parameters": [
                    {"name": name, "in": "header", "required": True, "description": told, "schema": {"type": "string"}}
                    for name, told in _MESSAGE_HEADERS.items()
                ],
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema_ref("Webhook")}}},
                "responses": {
                    "2XX": {"description": "It was taken."},
                    "410": {"description": "Nothing more is wanted; it is not tried again."},
                    "default": {"description": "It is tried again later."},
                },
            }
        }
    }
}

FILE: Schema = {
    "title": "File",
    "description": 'An upload, to be named in parameters as {"file": id}.',
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "url": {"type": "string", "format": "uri-reference"},
        "filename": {"type": "string"},
        "type": {"type": "string", "description": "The media type."},
        "size": {"type": "integer", "minimum": 0, "description": "Bytes."},
        "sha256": {"type": "string", "description": "Of the bytes, in hex."},
        "created_at": {"type": "string", "format": "date-time"},
    },
    "required": ["id", "url", "filename", "type", "size", "sha256"],
}

JOB_HEADERS: dict[str, Any] = {
    "Location": {
        "description": "Where the execution is.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}


#: Any text in an address, without the zero byte, which some databases do not take.
_TEXT: Schema = {"type": "string", "pattern": "^[^\\u0000]*$"}


def _query(name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _path(name: str, description: str, schema: Schema | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema or _TEXT,
    }


PARAMETERS: dict[str, Any] = {
    "Workflow": _path("name", "The workflow's name."),
    "Execution": _path("id", "The execution's id."),
    "Batch": _path("id", "The batch's id."),
    "Output": _path("output", "The output's name, as in the contract."),
    "File": _path("id", "The upload's id."),
    "Inline": _query("inline", "Whether small files come inside the answer, as base64.", {"type": "boolean"}),
    "CancelOnDisconnect": _query(
        "cancel_on_disconnect", "Whether it is cancelled when whoever waits for it hangs up.", {"type": "boolean"}
    ),
    "Previews": _query("previews", "Whether it shows pictures of what it has so far.", {"type": "boolean"}),
    "Filename": _query("filename", "The file's name, when the body is its bare bytes.", _TEXT),
    "OfWorkflow": _query("workflow", "Only executions of this workflow.", _TEXT),
    "InState": _query("state", "Only executions in this state.", {"enum": _STATES}),
    "Limit": _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    "Before": _query("before", "The last id of the page before: the next page.", _TEXT),
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
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    },
    "Priority": {
        "name": "Priority",
        "in": "header",
        "description": "Its place in the queue, from u=0, the most urgent, to u=7 (RFC 9218); u=3 when not said.",
        "schema": {"enum": [f"u={urgency}" for urgency in range(8)]},
    },
    "WebhookURL": {
        "name": "Webhook-URL",
        "in": "header",
        "description": "Told of the execution's end by a signed POST (Standard Webhooks); only where the gateway's "
        "owner has set a secret.",
        "schema": {"type": "string", "format": "uri", "maxLength": 2048},
    },
}

_ANSWERS = {
    "400": "The request cannot be read.",
    "401": "An API key is needed.",
    "403": "This API key, host name or other site's page may not do that.",
    "404": "There is no such thing.",
    "409": "It goes against what was asked before, or against its state.",
    "413": "The body is too large.",
    "415": "The body's type is not understood.",
    "422": "The parameters do not fit the contract; each one that is wrong is named.",
    "429": "Too many executions are waiting, or the API key asks too often.",
    "500": "The workflow or the gateway failed.",
    "502": "ComfyUI answered wrongly.",
    "503": "It cannot do this now.",
    "504": "The execution took too long.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}


def answers(*statuses: str) -> dict[str, Any]:
    """The answers with the given error statuses, each a problem document."""
    found: dict[str, Any] = {}
    # Who may not ask at all may also not ask for this; and what is kept may be out of reach.
    more = {"403", "503"} if "401" in statuses else set()
    for status in sorted({*statuses, *more}):
        found[status] = {
            "description": _ANSWERS[status],
            **({"headers": _RETRY} if status in ("429", "503") else {}),
            "content": {"application/problem+json": {"schema": schema_ref("Problem")}},
        }
    return found
