"""Whether ComfyUI can use a GPU here: told without importing torch, which takes seconds."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from .install import Install

# NVIDIA, NVIDIA inside a container, WSL 2, ROCm.
_DEVICE_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_GPU_BUILD = re.compile(r"^(?:cuda|hip|xpu)\b[^=]*=\s*['\"]", re.MULTILINE)


def needs_cpu_flag(install: Install) -> bool:
    """True when ComfyUI would not start without ``--cpu``: the machine has no device, or its torch no support."""
    if sys.platform == "darwin":
        return False  # torch finds Metal, or falls back to the processor, by itself
    return not _has_device() or not _torch_has_gpu_support(install)


def _has_device() -> bool:
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return any(Path(node).exists() for node in _DEVICE_NODES)


def _torch_has_gpu_support(install: Install) -> bool:
    """``torch/version.py`` gives the version of each toolkit it was built with, or None."""
    for place in install.site_packages:
        version = place / "torch" / "version.py"
        if version.is_file():
            return bool(_GPU_BUILD.search(version.read_text(encoding="utf-8", errors="replace")))
    return True  # no torch to be seen: let ComfyUI speak for itself
