"""Export through a running ComfyUI that has our pack: it reads itself, we fetch the capsule."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from .capsule import Capsule, read_capsule
from .errors import BadInput, CapsuleError
from .progress import Progress, Report, silent

_HEADERS = {"X-Comfy-Capsule": "1"}
_POLL = 0.2  # seconds


def is_address(text: str) -> bool:
    """Whether `text` is the address of a server rather than a folder."""
    return urlsplit(text).scheme in ("http", "https")


def export_remote(
    address: str,
    workflow: Mapping[str, Any],
    api: Mapping[str, Any],
    *,
    name: str,
    message: str = "",
    look_up: bool = False,
    report: Report = silent,
) -> Capsule:
    """The capsule that the ComfyUI at `address` makes of `workflow`, every byte checked after the way here.

    Raises:
        BadInput: ``comfyui-unreachable``, ``pack-not-installed``, or what that ComfyUI refuses the graph with.
        CapsuleError: what went wrong there.
    """
    version = str((workflow.get("extra") or {}).get("frontendVersion", ""))
    said = {"name": name, "message": message, "frontend_version": version, "look_up": look_up}
    body = {**said, "workflow": workflow, "api": api}
    task = _finished(address, _ask("POST", address, "/capsule/export", json=body).json()["task"], report)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "received.capsule.zip")
        file.write_bytes(_ask("GET", address, f"/capsule/tasks/{task['task']}/file").content)
        return read_capsule(file)


def snapshot_remote(
    address: str,
    workflow: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
    report: Report = silent,
    *,
    look_up: bool = False,
) -> dict[str, Any]:
    """The snapshot that the ComfyUI at `address` takes of itself: ``{"lock": …, "pylock": …}``.

    Raises: as `export_remote`.
    """
    body = {"workflow": workflow, "api": api, "look_up": look_up} if api else {}
    task = _finished(address, _ask("POST", address, "/capsule/snapshot", json=body).json()["task"], report)
    return dict(task["result"])


def _finished(address: str, task: str, report: Report) -> dict[str, Any]:
    """The task when it has succeeded; its progress is passed on meanwhile."""
    seen: list[Any] = []
    while True:
        state: dict[str, Any] = _ask("GET", address, f"/capsule/tasks/{task}").json()
        for event in state["progress"]:
            if event not in seen:
                report(Progress.model_validate(event))
        seen = state["progress"]
        if state["state"] == "succeeded":
            return state
        if state["state"] not in ("queued", "running"):
            raise _as_error(state["error"])
        time.sleep(_POLL)


def _ask(method: str, address: str, path: str, **options: Any) -> requests.Response:
    url = address.rstrip("/") + path
    try:
        response = requests.request(method, url, headers=_HEADERS, timeout=300, allow_redirects=False, **options)
    except requests.RequestException as error:
        raise BadInput(
            "comfyui-unreachable", f"No ComfyUI answers at {address}.", "Start it, or give its folder: --comfy DIR."
        ) from error
    speaks_json = "json" in response.headers.get("Content-Type", "")
    if response.ok and (speaks_json or path.endswith("/file")):
        return response
    if response.ok:
        message = f"What answers at {address} is not a ComfyUI with the Comfy Capsule pack."
        raise BadInput("not-comfyui", message, "Correct the address.")
    if speaks_json:
        said = response.json()
        status = BadInput.exit_status if response.status_code < 500 else CapsuleError.exit_status
        message = said.get("title", f"ComfyUI answered {response.status_code}.")
        raise _as_error({**said, "message": message, "exit_status": status})
    if response.status_code in (404, 405):
        raise BadInput(
            "pack-not-installed",
            f"The ComfyUI at {address} does not have the Comfy Capsule pack.",
            "Put comfy-capsule into its custom_nodes and restart it, or give its folder: --comfy DIR.",
        )
    raise CapsuleError("comfyui-error", f"The ComfyUI at {address} answered {response.status_code}.")


def _as_error(said: Mapping[str, Any]) -> CapsuleError:
    kind = BadInput if said.get("exit_status") == BadInput.exit_status else CapsuleError
    return kind(str(said.get("code", "")), str(said.get("message", "")), str(said.get("cure", "")))
