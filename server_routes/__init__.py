"""The routes of the in-app extension: parse the request, call the engine, answer JSON.

Loading this package costs milliseconds: the engine (`packager`) is imported by the first request that needs it, so
that the pack loads, and marks work, where the engine's dependencies are not installed.
"""

from __future__ import annotations

from typing import Any

from .assets import always_revalidate
from .handlers import Handlers
from .tasks import Tasks
from .versions import VersionHandlers

__all__ = ["register"]


def register(server: Any) -> None:
    """Add every ``/capsule`` route to ComfyUI's `PromptServer`; ComfyUI serves each under ``/api`` too."""

    def publish(event: str, data: dict[str, Any], client: str) -> None:
        server.send_sync(event, data, client)  # thread-safe

    def user_of(request: Any) -> str:
        return str(server.user_manager.get_request_user_id(request))

    handlers = Handlers(Tasks(publish), user_of)
    versions = VersionHandlers(user_of)
    server.routes.get("/capsule/status")(handlers.status)
    server.routes.post("/capsule/snapshot")(handlers.snapshot)
    server.routes.post("/capsule/export")(handlers.export)
    server.routes.get("/capsule/tasks/{id}")(handlers.task)
    server.routes.get("/capsule/tasks/{id}/file")(handlers.file)
    server.routes.post("/capsule/tasks/{id}/cancel")(handlers.cancel)
    server.routes.get("/capsule/versions")(versions.workflows)
    server.routes.get("/capsule/versions/{workflow}")(versions.history)
    server.routes.get("/capsule/versions/{workflow}/{version}")(versions.details)
    server.routes.get("/capsule/versions/{workflow}/{version}/workflow")(versions.workflow)
    server.routes.get("/capsule/versions/{workflow}/{version}/capsule")(versions.capsule)
    server.app.on_response_prepare.append(always_revalidate)
