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
_TORCH_VERSION = re.compile(r"^__version__ = ['\"]([^'\"]+)['\"]", re.MULTILINE)
_CUDA_BUILD = re.compile(r"\+cu(\d+)\d$")  # ``2.11.0+cu130`` is of CUDA 13
# The oldest driver on which any minor release of a CUDA major release runs, by that. Source: CUDA Compatibility,
# "Minor Version Compatibility", https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
_OLDEST_DRIVERS = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}
_GPU_BUILD = re.compile(r"^(?:cuda|hip|xpu)\b[^=]*=\s*['\"]", re.MULTILINE)


def needs_cpu_flag(install: Install) -> bool:
    """True when ComfyUI would not start without ``--cpu``: the machine has no device, or its torch no support."""
    if sys.platform == "darwin":
        return False  # torch finds Metal, or falls back to the processor, by itself
    return not _has_device() or not _torch_has_gpu_support(install)


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The NVIDIA GPUs that a process may use, each as ``CUDA_VISIBLE_DEVICES`` takes it; none where none can be told.

    Source: the CUDA C++ Programming Guide, "CUDA Environment Variables" (an id that is negative hides what follows).
    """
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        ids = [each.strip() for each in given.split(",")]
        hidden = next((place for place, each in enumerate(ids) if not each or each.startswith("-")), len(ids))
        return ids[:hidden]
    return _nvidia_smi("uuid")


def torch_version(install: Install) -> str:
    """torch's own word on its version, with its build tag, which an index may drop; empty where it says none."""
    for folder in install.site_packages:
        said = folder / "torch" / "version.py"
        if said.is_file() and (found := _TORCH_VERSION.search(said.read_text(encoding="utf-8", errors="replace"))):
            return found[1]
    return ""


def oldest_driver(torch: str) -> str:
    """The oldest NVIDIA driver on Linux for the torch of this version (``2.11.0+cu130``); empty where it is unknown."""
    found = _CUDA_BUILD.search(torch)
    return _OLDEST_DRIVERS.get(found[1], "") if found else ""


def driver_problem(torch: str) -> str:
    """What is wrong with this machine's NVIDIA driver for that torch, in a sentence; empty where nothing is."""
    oldest, here = oldest_driver(torch), next(iter(_nvidia_smi("driver_version")), "")
    if not oldest or not here or _numbers(here) >= _numbers(oldest):
        return ""
    return f"The NVIDIA driver here is {here}; torch {torch} needs {oldest} or newer."


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _nvidia_smi(field: str) -> list[str]:
    """``nvidia-smi --help-query-gpu`` lists the fields. A line for each GPU; none where there is no such program."""
    try:
        told = subprocess.run(
            ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"],
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
