"""When a ComfyUI of ours is to be replaced by a fresh one: it has run enough, holds too much, or lost its GPU."""

from __future__ import annotations

from ..errors import CapsuleError
from .problems import Problem
from .settings import Settings
from .supervise import Backend

_GIB = 1024**3


class Wear:
    """Of one ComfyUI. One that is somebody else's never wears out: it is not ours to replace."""

    def __init__(self, backend: Backend, settings: Settings) -> None:
        self._backend, self._settings = backend, settings
        self._ran = 0

    def fresh(self) -> None:
        """It has come up anew."""
        self._ran = 0

    def ran(self) -> None:
        """It has run one more."""
        self._ran += 1

    @property
    def out(self) -> bool:
        """Whether it has run as many as it may: it takes no more, and is replaced once it runs nothing."""
        most = self._settings.recycle_after
        return bool(most) and self._backend.own and self._ran >= most

    async def sickness(self) -> str:
        """Why it is to be replaced though it answers: asked for its device's memory, it fails once its GPU is gone."""
        if self._backend.own and self._backend.up.is_set():
            try:
                await self._backend.client.system_stats()
            except CapsuleError as error:
                if error.code == "comfyui-error":
                    return "ComfyUI can use its GPU no more"
        return ""

    def overload(self) -> Problem | None:
        """What to say of the runs that are ended because it holds more memory than it may."""
        most = self._settings.memory_limit
        if not most or not self._backend.own or (held := self._backend.memory) <= most:
            return None
        return Problem(
            "out-of-memory",
            f"ComfyUI held {held / _GIB:.1f} GiB while it ran this; {most / _GIB:.1f} GiB are allowed here.",
            "Ask for less at once, or have `memory_limit` raised.",
        )
