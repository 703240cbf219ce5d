"""Telling the end of an execution to the URL that its caller named, by the rules of Standard Webhooks.

https://www.standardwebhooks.com: `webhook-id` stays the same over all tries, `webhook-signature` is an HMAC-SHA256 over
id, time and body with each of the owner's secrets, any 2xx is a yes, 410 is a no for ever, a redirect is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook as Signer

from .log import EXECUTION
from .models import Webhook
from .present import batch_document, execution_document
from .problems import Problem
from .service import Service

log = logging.getLogger(__name__)

_AT_ONCE = 16
_POLL = 1.0  # seconds between looks for what is due, or was ended by another gateway
_FACTOR = 5.0
_LONGEST = 6 * 3600.0  # seconds between two tries
_GRACE = 10.0  # seconds of a claim beyond the time that a try may take
_GONE = 410


class Webhooks:
    """Delivers. `run` it for ever; what is cut off by its end is tried again by the next one."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._service = service
        self._store = service.store.webhooks
        self._signers = [Signer(secret.get_secret_value()) for secret in settings.webhook_secrets]
        self._tries, self._delay = settings.webhook_tries, settings.webhook_delay
        self._timeout = settings.webhook_timeout
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        wake = self._service.board.deliver
        try:
            while True:
                wake.clear()
                try:
                    await self._claim()
                except Exception:
                    log.exception("The store failed; webhooks are looked for again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await wake.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _claim(self) -> None:
        if room := _AT_ONCE - len(self._tasks):
            for webhook in await self._store.claim(room, self._timeout + _GRACE):
                self._service.board.awaited.discard(webhook.execution)  # where another gateway has ended it
                task = asyncio.create_task(self._deliver(webhook))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if len(self._tasks) == _AT_ONCE - 1:  # there may be more than there was room for
            self._service.board.deliver.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("A webhook could not be handled; it is tried again later", exc_info=task.exception())

    async def _deliver(self, webhook: Webhook) -> None:
        EXECUTION.set(webhook.execution)
        headers: Mapping[str, str] = {}
        last = False
        try:
            if (told := await message(self._service, webhook.execution)) is None:
                status, error, last = 0, "what it would tell is no longer kept", True
            else:
                body = json.dumps(told, separators=(",", ":"))
                status, headers = await self._service.foreign.post(
                    webhook.url, body.encode(), self._headers(webhook, body), seconds=self._timeout
                )
                error = "" if 200 <= status < 300 else f"it answered with status {status}"
        except Problem as problem:
            status, error = 0, problem.message
        except asyncio.CancelledError:  # the gateway stops: the next one need not wait for the claim to lapse
            await self._store.settle(webhook.model_copy(update={"next_at": time.time()}))
            raise
        except Exception:
            log.exception("The gateway failed to send a webhook")
            status, error = 0, "the gateway failed to send it"
        await self._settle(webhook, status, error, last=last or status == _GONE, after=_retry_after(headers))

    def _headers(self, webhook: Webhook, body: str) -> dict[str, str]:
        id, now = f"msg_{webhook.execution}", datetime.now(UTC)
        signatures = [signer.sign(id, now, body) for signer in self._signers]
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),  # with it the gateway itself is never changed, see `auth`
            "Content-Type": "application/json",
        }

    async def _settle(self, webhook: Webhook, status: int, error: str, *, last: bool, after: float = 0) -> None:
        """Write down how the try went: done, once more, or never again."""
        now = time.time()
        told: dict[str, Any] = {"status": status, "error": error[:255]}
        if not error:
            told |= {"state": "delivered", "next_at": 0, "delivered": now}
            log.info("webhook delivered, try %d", webhook.attempts)
        elif last or webhook.attempts >= self._tries:
            told |= {"state": "dead", "next_at": 0}
            log.error("webhook given up after try %d: %s", webhook.attempts, error)
        else:
            wait = max(pause(webhook.attempts, self._delay), after)
            told |= {"next_at": now + wait}
            log.warning("webhook failed, try %d: %s; again in %.0f s", webhook.attempts, error, wait)
        await self._store.settle(webhook.model_copy(update=told))


async def message(service: Service, id: str) -> dict[str, Any] | None:
    """What is sent: the execution as ``GET /executions/{id}`` gives it, but for the values of its parameters, or the
    batch as ``GET /batches/{id}`` does. None for what is no longer kept."""
    if (execution := await service.store.get(id)) is not None:
        data = await execution_document(service, execution)
        del data["parameters"]
        return {"type": f"execution.{execution.state}", "timestamp": data["finished_at"], "data": data}
    if (batch := await service.store.batches.get(id)) is not None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {"type": "batch.ended", "timestamp": now, "data": await batch_document(service, batch)}
    return None


def pause(attempts: int, delay: float) -> float:
    """Seconds before the next try: five times as long each time, half of it or half more by chance."""
    return min(delay * _FACTOR ** (attempts - 1), _LONGEST) * random.uniform(0.5, 1.5)


def _retry_after(headers: Mapping[str, str]) -> float:
    said = headers.get("Retry-After", "")
    return min(float(said), _LONGEST) if said.isascii() and said.isdecimal() and len(said) < 10 else 0
