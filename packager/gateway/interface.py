"""What the gateway needs from a store of executions and from a store of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .models import Batch, Execution, Item, NewBatch, NewExecution, State, StoredFile, Webhook


class ExecutionStore(Protocol):
    """Executions and uploads, kept beyond the life of a process; several gateways may share one.

    Work is claimed with a lease. A claim's `token` fences it: once a newer claim exists, nothing that the older one
    writes is kept, and the method answers False.
    """

    async def add(
        self, new: NewExecution, *, bound: int, own_bound: int = 0, worker: str = "", lease: float = 0
    ) -> tuple[Execution, bool]:
        """Store it as queued; the second value is False when the idempotency key had already made it.

        With a `worker` that has room, and nothing before it in the queue, it is claimed in the same step.

        Raises:
            Problem: ``queue-full`` when `bound` executions are waiting, ``too-many-at-once`` when `own_bound` (0: any
                number) of its owner's wait or run, ``idempotency-conflict``.
        """

    async def earlier(self, new: NewExecution) -> Execution | None:
        """The execution that the idempotency key of `new` has made already.

        Raises:
            Problem: ``idempotency-conflict``.
        """

    async def get(self, id: str, owner: str | None = None) -> Execution | None:
        """The execution, if it is there and (unless `owner` is None) belongs to `owner`."""

    async def list(
        self, owner: str | None, *, workflow: str = "", state: str = "", limit: int = 50, before: str = ""
    ) -> Sequence[Execution]:
        """The newest first; `before` is the id of the last one of the page before."""

    async def claim(self, worker: str, workflows: Sequence[str], lease: float) -> Execution | None:
        """The oldest queued execution of `workflows`, now running under `worker` for `lease` seconds."""

    async def renew(self, claims: Mapping[str, int], lease: float) -> Mapping[str, bool]:
        """Extend the leases of `claims` (id → token). The claims still ours → whether a cancel was asked for."""

    async def mark_submitted(self, id: str, token: int) -> bool:
        """ComfyUI has accepted the prompt."""

    async def requeue(self, id: str, token: int) -> bool:
        """Put a running execution back into the queue, with a new prompt id."""

    async def finish(
        self,
        id: str,
        token: int,
        state: State,
        finished: float,
        *,
        outputs: Mapping[str, Sequence[Item]] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> bool:
        """End a running execution at the time `finished`; False when the claim is no longer ours."""

    async def request_cancel(self, id: str) -> Execution | None:
        """A queued one is cancelled at once; of a running one the worker is asked."""

    async def adopt(self, worker: str, lease: float, *, own: bool) -> Sequence[Execution]:
        """Claim again every running execution whose lease has lapsed; with `own`, also those that `worker` held
        in an earlier life."""

    async def waiting(self) -> int:
        """How many executions are queued."""

    async def forget(self, before: float, most: int) -> tuple[int, int]:
        """Remove up to `most` executions, the oldest, that ended before `before` and whose end nobody is to be told
        any more; how many it were, and how many bytes their outputs name."""

    async def forget_files(self, before: float, most: int) -> int:
        """Remove up to `most` uploads, the oldest, made before `before`, that no execution still waits or runs with."""

    async def digests(self) -> set[str]:
        """The sha256 of all bytes that any execution or upload names."""

    async def add_file(self, owner: str, filename: str, type: str, size: int, sha256: str) -> StoredFile:
        """Store an upload; the same bytes, name and type from the same owner give the same id."""

    async def get_file(self, id: str, owner: str | None = None) -> StoredFile | None:
        """The upload, if it is there and (unless `owner` is None) belongs to `owner`."""

    @property
    def secret(self) -> bytes:
        """32 bytes that only the gateways of this store know."""

    @property
    def webhooks(self) -> WebhookStore:
        """The deliveries of its executions' ends, made by `add`."""

    @property
    def batches(self) -> BatchStore:
        """Many executions under one handle."""

    async def close(self) -> None:
        """Let go of files and connections."""


class BatchStore(Protocol):
    """Batches, whose items are executions like any other."""

    async def add(self, new: NewBatch, *, bound: int, own_bound: int = 0) -> tuple[Batch, bool]:
        """Store all of its executions as queued, or none; the second value as in `add`.

        Raises:
            Problem: ``queue-full`` when with them more than `bound` executions would wait, ``too-many-at-once``,
                ``idempotency-conflict``.
        """

    async def earlier(self, new: NewBatch) -> Batch | None:
        """What its idempotency key has already made. Raises Problem ``idempotency-conflict``."""

    async def get(self, id: str, owner: str | None = None) -> Batch | None:
        """The batch, if it is there and (unless `owner` is None) belongs to `owner`."""

    async def cancel(self, id: str) -> Sequence[Execution]:
        """Cancel its queued executions and ask it of its running ones: these, as they are now."""

    async def list(self, id: str) -> Sequence[Execution]:
        """The executions of a batch in the order of its items."""


class WebhookStore(Protocol):
    """Deliveries, claimed like executions: with a lease, and fenced by a token."""

    async def get(self, execution: str) -> Webhook | None:
        """The delivery of this execution's end, if there is one."""

    async def claim(self, most: int, lease: float) -> Sequence[Webhook]:
        """Up to `most` that are to be tried now, theirs for `lease` seconds; each counts as an attempt."""

    async def settle(self, webhook: Webhook) -> bool:
        """Write down how the claimed attempt went; False when the claim is no longer ours."""


class OutputStore(Protocol):
    """Bytes by their sha256, kept beyond the life of a process."""

    def expect(self) -> None:
        """Nobody waits at the moment: what can be done ahead of the next result, may be."""

    def use_up(self, path: Path) -> None:
        """Remove a file that nobody needs; what it is made of may be used again. In a thread. Raises OSError."""

    async def put_stream(self, chunks: AsyncIterator[bytes], *, limit: int = 0) -> tuple[str, int]:
        """Keep the bytes; their sha256 (hex) and size.

        Raises:
            Problem: ``body-too-large`` when `limit` (bytes, 0: none) is passed.
        """

    async def put_file(self, path: Path) -> tuple[str, int]:
        """Keep a copy of the file's bytes; their sha256 (hex) and size."""

    async def put_bytes(self, data: bytes) -> tuple[str, int]:
        """Keep the bytes; their sha256 (hex) and size."""

    async def size(self) -> int:
        """Bytes kept in all."""

    async def remove_others(self, wanted: Collection[str], before: float) -> int:
        """Remove what is not `wanted` (sha256) and was last kept before `before`; how many bytes it were."""

    async def local(self, sha256: str) -> Path | None:
        """A local file that holds the bytes; None when they are gone."""

    async def link(self, sha256: str, type: str, disposition: str) -> str:
        """Where a caller can have the bytes from without this gateway, for a while, with this Content-Type and
        Content-Disposition; empty when he cannot."""
