"""What the routes answer: problems as ``application/problem+json`` (RFC 9457), and the engine's models as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..packager.errors import BadInput, Blocked, Cancelled, CapsuleError

if TYPE_CHECKING:
    from ..packager.export import ExportResult

_ROOT = Path(__file__).resolve().parent.parent


def problem(error: CapsuleError) -> web.Response:
    """`error` as problem JSON; its sentence is the title, its code and cure are members of their own."""
    fallback = {BadInput: 422, Blocked: 409, Cancelled: 409}.get(type(error), 500)
    status = int(getattr(error, "status", fallback))
    body = {"type": "about:blank", "status": status, "title": error.message, "code": error.code, "cure": error.cure}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")


def not_installed(missing: str) -> CapsuleError:
    """The engine cannot be imported, because the module `missing` is not there."""
    return CapsuleError(
        "engine-not-installed",
        f"Comfy Capsule's own Python packages are not installed yet ({missing} is missing).",
        f"Run this with ComfyUI stopped: {install_line()}",
    )


def install_line() -> str:
    """The one line that installs what the engine needs into the Python that runs ComfyUI."""
    return f'"{sys.executable}" -m pip install -r "{_ROOT / "requirements.txt"}"'


def exported(result: ExportResult) -> dict[str, Any]:
    """What the browser is told of an export; the file's place on disk is not part of it."""
    from ..packager.capsule import SUFFIX

    return {
        "id": result.digests.id,
        "digests": result.digests.model_dump(mode="json"),
        "contract": result.contract.model_dump(mode="json"),
        "findings": [finding.model_dump(mode="json") for finding in result.findings],
        "file": result.contract.name + SUFFIX,
        "size": result.path.stat().st_size,
        "version": version.model_dump(mode="json") if (version := result.keeping.version) else None,
        "not_kept": {"message": result.keeping.reason, "cure": result.keeping.cure} if not version else None,
    }
