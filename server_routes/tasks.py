"""Long work of the routes: each runs in a thread of its own, one after another, and tells how far it is."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..packager.errors import Cancelled, CapsuleError
from .answers import not_installed

if TYPE_CHECKING:
    from ..packager.progress import Progress, Report

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Publish = Callable[[str, dict[str, Any], str], None]  # (event, data, client id); must be thread-safe
Work = Callable[["Report", Callable[[], bool]], tuple[dict[str, Any], Path | None]]

EVENT = "capsule.progress"
_KEPT = 32  # finished tasks that can still be asked for
_PAUSE = 0.1  # seconds between two pushed events of one phase

_log = logging.getLogger(__name__)


@dataclass
class Task:
    """One piece of work. `id` cannot be guessed: whoever knows it may ask for the task and its file."""

    kind: Literal["snapshot", "export"]
    client: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "queued"
    phases: dict[str, Progress] = field(default_factory=dict)  # the last event of each phase, in order
    result: dict[str, Any] | None = None
    file: Path | None = None
    error: dict[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("succeeded", "failed", "cancelled")

    def view(self) -> dict[str, Any]:
        """What the browser sees, by event and by GET alike."""
        return {
            "task": self.id,
            "kind": self.kind,
            "state": self.state,
            "progress": [event.model_dump(mode="json") for event in self.phases.copy().values()],
            "result": self.result,
            "error": self.error,
        }


class Tasks:
    """The tasks of this process, and the one place in which their work is run."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._tasks: dict[str, Task] = {}
        self._turn = threading.Lock()

    def get(self, task_id: str) -> Task | None:
        """The task of that id, if it is still known."""
        return self._tasks.get(task_id)

    def start(self, task: Task, work: Work) -> Task:
        """Run `work` in a thread; at once, or when the task before it ends."""
        for old in [t.id for t in self._tasks.values() if t.finished][: -_KEPT or None]:
            del self._tasks[old]
        self._tasks[task.id] = task
        threading.Thread(target=self._run, args=(task, work), name="comfy-capsule", daemon=True).start()
        return task

    def _run(self, task: Task, work: Work) -> None:
        with self._turn:
            if not task.stop.is_set():
                task.state = "running"
                self._tell(task)
            try:
                if task.stop.is_set():
                    raise Cancelled
                task.result, task.file = work(self._reporter(task), task.stop.is_set)
                task.state = "succeeded"
            except Cancelled as error:
                self._fail(task, "cancelled", error)
            except CapsuleError as error:
                self._fail(task, "failed", error)
            except ModuleNotFoundError as error:
                self._fail(task, "failed", not_installed(error.name or str(error)))
            except Exception as error:  # noqa: BLE001 - the end of the thread: whatever it was, the user must hear of it
                _log.exception("Comfy Capsule: %s failed", task.kind)
                self._fail(task, "failed", _unexpected(task, error))
            self._tell(task)

    @staticmethod
    def _fail(task: Task, state: State, error: CapsuleError) -> None:
        status = error.exit_status  # the command, which may be who asked, exits with it
        task.error = {"code": error.code, "message": error.message, "cure": error.cure, "exit_status": status}
        task.state = state

    def _reporter(self, task: Task) -> Report:
        told = 0.0

        def report(event: Progress) -> None:
            nonlocal told
            new_phase = event.phase not in task.phases
            task.phases[event.phase] = event
            now = time.monotonic()
            if new_phase or now - told >= _PAUSE:
                told = now
                self._tell(task)

        return report

    def _tell(self, task: Task) -> None:
        if task.client:
            self._publish(EVENT, task.view(), task.client)


def _unexpected(task: Task, error: Exception) -> CapsuleError:
    return CapsuleError(
        "unexpected",
        f"The {task.kind} stopped at something unexpected: {type(error).__name__}: {error}",
        "ComfyUI's log has the details; please report them.",
    )
