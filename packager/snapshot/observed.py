"""What is merely seen where a snapshot is taken: GPU, driver, launch arguments, places of models. Said, never held to.

Secrets stay out: of the environment only names are kept, and of the arguments no value that may be one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..capsule import Observed
from ..comfy import Install, live_torch
from ..command import run
from ..errors import CapsuleError
from ..secrets import clean_arguments

_PROC = Path("/proc/driver/nvidia")
_SMI = ("nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader")
_PATIENCE = 5  # seconds for nvidia-smi, which waits for the driver

# Names that change what ComfyUI, torch or a model hub does.
_OF_INTEREST = re.compile(
    r"(COMFY|CUBLAS|CUDA|CUDNN|DIFFUSERS|GGML|HF_|HIP|HSA_|HUGGINGFACE|KMP_|LD_(LIBRARY_PATH|PRELOAD)$|MIOPEN|MKL_|"
    r"NCCL|NVIDIA_|OMP_|ONEAPI|ONNX|OPENBLAS|PYTHON|PYTORCH|ROC|SAFETENSORS|SYCL|TORCH|TRANSFORMERS|TRITON|XFORMERS|ZE_)"
)
_HOMES = re.compile(r"(/home/[^/\s:]+|/Users/[^/\s:]+|/root(?![\w.-])|[A-Za-z]:[\\/]Users[\\/][^\\/\s]+)")
_TORCH_CUDA = re.compile(r"^(cuda|hip)\b[^=\n]*= ['\"]([^'\"]+)['\"]", re.MULTILINE)


def observe(install: Install) -> Observed:
    """What there is to see of this machine and of how `install` is set up; the running ComfyUI's when this is it."""
    driver, gpus = _nvidia()
    live = live_torch()
    return Observed(
        gpus=gpus or live.gpus,
        driver=driver,
        cuda=_torch_cuda(install),
        torch_arch_list=live.arch_list,
        arguments=tuple(map(without_home, clean_arguments(install.arguments))),
        environment=environment_names(os.environ) if live.running else (),
        model_paths=tuple(_outer_places(install)),
    )


def environment_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the environment variables' `names` that matter to what runs, sorted; never a value."""
    return tuple(sorted(name for name in names if _OF_INTEREST.match(name)))


def without_home(text: str) -> str:
    """`text` with ``~`` for every home folder in it, this user's and others'."""
    own = re.escape(str(Path.home())) + r"(?![\w.-])" if len(Path.home().parts) > 1 else "(?!)"
    return _HOMES.sub("~", re.sub(own, "~", text))


def _outer_places(install: Install) -> Iterator[str]:
    """``TYPE: PLACE`` for each folder of models or packs outside ComfyUI's own: what its configuration added."""
    folders = {"custom_nodes": install.custom_nodes, **install.model_folders}
    for kind, places in sorted(folders.items()):
        outer = (place for place in places if not place.is_relative_to(install.root))
        yield from (f"{kind}: {without_home(place.as_posix())}" for place in outer)


def _nvidia() -> tuple[str, tuple[str, ...]]:
    """The driver's version and the GPUs' names: from the Linux driver's own files, at no cost, else of nvidia-smi."""
    if os.name == "posix":
        return _of_proc()
    try:
        lines = [line.partition(", ") for line in run(_SMI, timeout=_PATIENCE).splitlines() if ", " in line]
    except CapsuleError:
        return "", ()  # no such driver
    return "".join(driver for driver, _, _ in lines[:1]), tuple(name.strip() for _, _, name in lines)


def _of_proc() -> tuple[str, tuple[str, ...]]:
    try:
        version = re.search(r"^NVRM version:.*?(\d+\.\d+[.\d]*)", (_PROC / "version").read_text())
        files = sorted(_PROC.glob("gpus/*/information"))
        models = [re.search(r"^Model:\s*(.+?)\s*$", file.read_text(), re.MULTILINE) for file in files]
    except OSError:
        return "", ()  # no such driver, or a container that hides it
    return version[1] if version else "", tuple(model[1] for model in models if model)


def _torch_cuda(install: Install) -> str:
    """What torch was built for, by its own word: ``13.0``, or ``hip 6.4``; empty for a CPU build."""
    for folder in install.site_packages:
        said = folder / "torch" / "version.py"
        if said.is_file():
            found = dict(_TORCH_CUDA.findall(said.read_text("utf-8", "replace")))
            return found.get("cuda") or (f"hip {found['hip']}" if "hip" in found else "")
    return ""
