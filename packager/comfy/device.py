"""Whether ComfyUI can use a GPU here: told without importing torch, which takes seconds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
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


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The NVIDIA GPUs that a process may use, each as ``CUDA_VISIBLE_DEVICES`` takes it; none where none can be told.

    Sources: the CUDA C++ Programming Guide, "CUDA Environment Variables" (an id that is negative hides what follows);
    ``nvidia-smi --help-query-gpu``.
    """
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        ids = [each.strip() for each in given.split(",")]
        hidden = next((place for place, each in enumerate(ids) if not each or each.startswith("-")), len(ids))
        return ids[:hidden]
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


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
