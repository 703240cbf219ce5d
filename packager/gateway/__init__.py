"""The gateway: a web server that serves capsules' workflows as a typed API, in front of ComfyUI.

Importing this takes little time: what serves is imported when it is called.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .keys import Key
from .settings import Settings, read_settings, settings_text

if TYPE_CHECKING:
    from ..capsule import Capsule
    from ..progress import Report

__all__ = ["Key", "Settings", "read_settings", "serve_capsules", "serve_files", "settings_text"]


def serve_files(paths: Sequence[Path], settings: Settings, report: Report, listener: socket.socket) -> None:
    """`serve_capsules` of the capsules in the files `paths`. Raises BadInput ``no-workflow`` too."""
    from ..capsule import read_capsule

    capsules = [read_capsule(path) for path in paths]
    for capsule in capsules:
        capsule.need_workflow()
    serve_capsules(capsules, settings, report, listener)


def serve_capsules(
    capsules: Sequence[Capsule],
    settings: Settings,
    report: Report | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let running executions end and return.

    Args:
        report: hears ``listening`` with the address, then ``ready``.
        listener: what `listener.listen` gave; else it listens itself.

    Raises:
        BadInput: ``no-capsule``, ``same-name``, ``environments-differ``, ``no-comfyui``, ``comfyui-unreachable``,
            ``not-comfyui``, ``port-taken``, ``bad-host``, ``state-in-use``, ``bad-state``, ``secret-missing``,
            ``secret-unreadable``, ``no-database``, ``bad-setting``.
        CapsuleError: when ComfyUI's install cannot be started at all.
    """
    from .server import serve

    serve(capsules, settings, report, listener)
