"""What the gateway keeps and tells: executions, their outputs, uploaded files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "lost"]
#: From 0, the most urgent, to 7; RFC 9218, section 4.1, with the same default.
PRIORITY = 3
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled", "lost"})


class Frozen(BaseModel):
    """The base of the gateway's models: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(Frozen):
    """One piece of one named output: a file (`sha256` set) or a value given inline (`value` set)."""

    kind: Literal["file", "text", "json"]
    filename: str = ""
    type: str = ""  # media type
    size: int = 0  # bytes
    sha256: str = ""
    value: Any = None


class Execution(Frozen):
    """One run of a workflow. Times are seconds since the epoch, 0 when not yet."""

    id: str
    workflow: str
    capsule: str  # the capsule's digest
    owner: str  # the name of the API key that made it
    state: State
    prompt_id: str  # ours, stored before it is submitted to ComfyUI
    parameters: dict[str, Any]  # as bound: drawn seeds inside, media as ``{"file": ID}``
    created: float
    started: float = 0
    finished: float = 0
    attempts: int = 0
    submitted: bool = False  # whether ComfyUI accepted it in this attempt
    cancel_requested: bool = False
    worker: str = ""
    token: int = 0  # fencing: rises with each claim; an older claim can no longer write
    batch: str = ""  # the batch that it is an item of
    priority: int = PRIORITY
    previews: bool = False
    outputs: dict[str, list[Item]] = {}
    problem: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


class Terms(Frozen):
    """How something is asked for."""

    idempotency_key: str = ""
    webhook: str = ""  # the URL that is told of its end, one that was checked
    priority: int = PRIORITY
    previews: bool = False  # whether ComfyUI shall make pictures of what it has so far


class NewExecution(Terms):
    """What a request asks for, before it is stored."""

    workflow: str
    capsule: str
    owner: str
    parameters: dict[str, Any]
    body_digest: str = ""  # sha256 of the request's parameters, compared when the key is used again


class NewBatch(Terms):
    """Many sets of parameters of one workflow, asked for at once."""

    workflow: str
    capsule: str
    owner: str
    items: tuple[dict[str, Any], ...]
    body_digest: str = ""


class Batch(Frozen):
    """Many executions under one handle. `states`: how many are in each state."""

    id: str
    workflow: str
    owner: str
    created: float
    total: int
    states: dict[State, int]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to any of them."""
        return not any(state not in ENDED for state in self.states)


class Webhook(Frozen):
    """The delivery of the end of one execution, or batch, to the URL that its caller named."""

    execution: str
    url: str
    state: Literal["waiting", "pending", "delivered", "dead"]  # waiting: for the end of the execution
    attempts: int = 0  # begun
    status: int = 0  # the last answer's, 0 when there was none
    error: str = ""  # why the last attempt was none
    next_at: float = 0  # not before; 0 when there is no next
    delivered: float = 0
    token: int = 0  # fencing: rises with each claim


class StoredFile(Frozen):
    """One uploaded file; its bytes are the blob `sha256`."""

    id: str
    owner: str
    filename: str
    type: str
    size: int
    sha256: str
    created: float
