"""The only door to ComfyUI: an install on disk, a running server, a process of our own, or this very process."""

from __future__ import annotations

from .boot import Booted, boot, boot_object_info
from .client import ComfyClient, Queue, Submitted, Uploaded
from .device import driver_problem, needs_cpu_flag, oldest_driver, torch_version, visible_gpus
from .events import Event
from .install import Install, find_install, is_comfyui
from .live import live_address, live_install, live_object_info, live_torch, live_user_dir
from .port import free_port
from .process import ComfyProcess
from .refusal import GraphRefused
from .trace import Trace, Traced, traced_run

__all__ = [
    "Booted",
    "ComfyClient",
    "ComfyProcess",
    "Event",
    "GraphRefused",
    "Install",
    "Queue",
    "Submitted",
    "Trace",
    "Traced",
    "Uploaded",
    "boot",
    "boot_object_info",
    "driver_problem",
    "find_install",
    "free_port",
    "is_comfyui",
    "live_address",
    "live_install",
    "live_object_info",
    "live_torch",
    "live_user_dir",
    "needs_cpu_flag",
    "oldest_driver",
    "torch_version",
    "traced_run",
    "visible_gpus",
]
