"""Executions as clients see them."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any

from .models import Batch, Execution, Item, StoredFile, Webhook
from .problems import Problem, from_document
from .service import Service


async def execution_document(
    service: Service, execution: Execution, *, inline: bool = False, webhook: Webhook | None = None
) -> dict[str, Any]:
    """The JSON of an execution; with `inline`, files up to the settings' limit carry their bytes as base64 ``data``."""
    told: dict[str, Any] = {
        "id": execution.id,
        "workflow": execution.workflow,
        "capsule": execution.capsule,
        "state": execution.state,
        "parameters": execution.parameters,
        "outputs": {},
        "problem": None,
        "attempts": execution.attempts,
        "priority": execution.priority,
        "created_at": _time(execution.created),
        "started_at": _time(execution.started),
        "finished_at": _time(execution.finished),
    }
    if execution.problem:
        told["problem"] = {**execution.problem, "execution": execution.id}
    if not execution.ended:
        told["cancel_requested"] = execution.cancel_requested
        if progress := service.board.progress(execution.id):
            told["progress"] = progress
    if execution.batch:
        told["batch"] = execution.batch
    if webhook is not None:
        told["webhook"] = _webhook_document(webhook)
    for name, items in execution.outputs.items():
        base = f"{place_of(execution)}/outputs/{name}"
        told["outputs"][name] = [
            await _item_document(service, item, f"{base}/{index}", inline) for index, item in enumerate(items)
        ]
    return told


async def batch_document(service: Service, batch: Batch, webhook: Webhook | None = None) -> dict[str, Any]:
    """The JSON of a batch: its items in their order, each with what became of it."""
    items = []
    for execution in await service.store.batches.list(batch.id):
        item: dict[str, Any] = {"id": execution.id, "state": execution.state, "url": place_of(execution)}
        if execution.problem:
            item["problem"] = {**execution.problem, "execution": execution.id}
        items.append(item)
    told: dict[str, Any] = {
        "id": batch.id,
        "workflow": batch.workflow,
        "state": "ended" if batch.ended else "running",
        "total": batch.total,
        "states": batch.states,
        "items": items,
        "created_at": _time(batch.created),
    }
    return told | ({"webhook": _webhook_document(webhook)} if webhook else {})


def problem_of(execution: Execution) -> Problem:
    """The problem that ended an execution which did not succeed."""
    problem = from_document(execution.problem) if execution.problem else None
    if problem is None:
        problem = Problem("cancelled", "The execution was cancelled.")
    problem.extra["execution"] = execution.id
    problem.headers["Location"] = place_of(execution)
    return problem


def file_document(stored: StoredFile) -> dict[str, Any]:
    """The JSON of an upload."""
    return {
        "id": stored.id,
        "url": f"/files/{stored.id}",
        "filename": stored.filename,
        "type": stored.type,
        "size": stored.size,
        "sha256": stored.sha256,
        "created_at": _time(stored.created),
    }


def _webhook_document(webhook: Webhook) -> dict[str, Any]:
    """How the delivery stands. Not its URL, which may hold what only its receiver shall know."""
    return {
        "state": webhook.state,
        "attempts": webhook.attempts,
        "last_status": webhook.status or None,
        "last_error": webhook.error or None,
        "next_attempt_at": _time(webhook.next_at) if webhook.state == "pending" else None,
        "delivered_at": _time(webhook.delivered),
    }


def place_of(execution: Execution) -> str:
    """The path of an execution."""
    return f"/executions/{execution.id}"


async def _item_document(service: Service, item: Item, url: str, inline: bool) -> dict[str, Any]:
    if item.kind != "file":
        return {"kind": item.kind, "type": item.type, "value": item.value}
    told: dict[str, Any] = {
        "kind": "file", "url": url, "filename": item.filename, "type": item.type, "size": item.size,
        "sha256": item.sha256,
    }  # fmt: skip
    if inline and item.size <= service.settings.inline_limit:
        path = await service.outputs.local(item.sha256)
        if path is None:
            raise gone(item.filename)
        data = path.read_bytes() if item.size < 65536 else await asyncio.to_thread(path.read_bytes)
        told["data"] = base64.b64encode(data).decode()
    return told


def gone(filename: str) -> Problem:
    """The bytes of a file that an execution names are not there any more."""
    return Problem("output-missing", f"The bytes of {filename!r} are gone from the gateway's state.", "Run it again.")


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
