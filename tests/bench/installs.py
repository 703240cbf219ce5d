"""A ComfyUI on disk as the engine sees it, with everything in its usual place, for tests that need no real one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from comfy_capsule.packager.comfy import Install


def install_at(root: Path, **said: Any) -> Install:
    """The install at `root` with this Python and one root of packs; what else is `said` goes before the usual."""
    usual = {
        "root": root,
        "python": Path(sys.executable),
        "python_version": "3.11.7",
        "implementation": "cpython",
        "base_prefix": Path(sys.base_prefix),
        "site_packages": (),
        "version": "0.30.0",
        "custom_nodes": (root / "custom_nodes",),
        "model_folders": {},
        "model_extensions": {},
        **{f"{kind}_dir": root / kind for kind in ("input", "output", "temp", "user")},
    }
    return Install(**{**usual, **said})
