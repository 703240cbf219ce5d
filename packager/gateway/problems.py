"""What can go wrong at the web border: one table of stable codes, told as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import CapsuleError

#: Every code the gateway can answer with: its HTTP status and its title. docs/gateway.md lists the same codes.
CODES: Mapping[str, tuple[int, str]] = {
    "invalid-json": (400, "The body cannot be read"),
    "invalid-header": (400, "A header cannot be read"),
    "invalid-query": (400, "A query parameter cannot be read"),
    "bad-request": (400, "The request cannot be read"),
    "unauthorised": (401, "An API key is needed"),
    "forbidden-host": (403, "This host name is not served"),
    "forbidden-origin": (403, "This origin may not change anything here"),
    "forbidden-scope": (403, "This API key may not do that"),
    "not-found": (404, "There is no such page"),
    "unknown-workflow": (404, "There is no such workflow"),
    "unknown-execution": (404, "There is no such execution"),
    "unknown-batch": (404, "There is no such batch"),
    "unknown-output": (404, "There is no such output"),
    "unknown-file": (404, "There is no such file"),
    "no-preview": (404, "There is no preview"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "idempotency-conflict": (409, "The idempotency key was used for another request"),
    "already-finished": (409, "The execution has already ended"),
    "workflow-changed": (409, "The workflow was replaced by another"),
    "cancelled": (409, "The execution was cancelled"),
    "body-too-large": (413, "The body is too large"),
    "no-websocket": (400, "This address takes a WebSocket"),
    "unsupported-media-type": (415, "The body's type is not understood"),
    "invalid-parameters": (422, "The parameters do not fit the contract"),
    "batch-size": (422, "A batch has too many items, or none"),
    "bad-media": (422, "A media parameter is not what it must be"),
    "picture-too-large": (422, "A picture has too many pixels"),
    "url-media-off": (422, "Media by URL are off"),
    "url-refused": (422, "A URL may not be asked"),
    "url-failed": (422, "A URL gave nothing that can be taken"),
    "webhooks-off": (422, "Webhooks are off"),
    "queue-full": (429, "Too many executions are waiting"),
    "rate-limited": (429, "This API key asks too often"),
    "too-many-at-once": (429, "This API key has too many executions at once"),
    "internal": (500, "The gateway failed"),
    "node-failed": (500, "A node of the workflow failed"),
    "out-of-memory": (500, "A node of the workflow had not enough memory"),
    "gpu-failed": (500, "The GPU failed"),
    "graph-refused": (500, "ComfyUI refused the graph"),
    "output-missing": (500, "A result cannot be had"),
    "lost": (500, "The execution was lost"),
    "comfyui-failed": (500, "ComfyUI answered wrongly"),
    "store-failed": (503, "The gateway's database failed"),
    "not-ready": (503, "The gateway cannot run this yet"),
    "draining": (503, "The gateway is stopping"),
    "worker-died": (503, "ComfyUI died while it ran the workflow"),
    "deadline-exceeded": (504, "The execution took too long"),
    "stalled": (504, "The execution came to a standstill"),
}


class Problem(CapsuleError):
    """An error told to a client of the web API.

    Attributes:
        extra: further members of the problem document, e.g. ``parameter``, ``node``, ``errors``.
        headers: HTTP headers of the answer, e.g. ``Retry-After``.
    """

    def __init__(
        self, code: str, message: str, cure: str = "", *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(code, message, cure)
        self.status, self.title = CODES[code]
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The problem document; `type` is a relative reference into the list of codes."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.message,
        }
        if self.cure:
            body["cure"] = self.cure
        return body | self.extra


def from_document(body: Mapping[str, Any]) -> Problem:
    """The problem that `document` wrote down, e.g. as kept with a failed execution."""
    known = {"type", "title", "status", "code", "detail", "cure"}
    extra = {name: value for name, value in body.items() if name not in known}
    return Problem(body["code"], body["detail"], body.get("cure", ""), **extra)
