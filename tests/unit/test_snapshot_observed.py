"""What is merely seen: how it is read, and that no secret and no home folder is in it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from bench.installs import install_at
from comfy_capsule.packager.capsule import environment_digest, lock_toml
from comfy_capsule.packager.comfy import Install, live_torch
from comfy_capsule.packager.snapshot import observed, snapshot_install
from comfy_capsule.packager.snapshot.observed import environment_names, observe


@pytest.fixture
def install(tmp_path: Path) -> Install:
    root = tmp_path / "ComfyUI"
    root.mkdir()
    return install_at(
        root,
        base_prefix=tmp_path,
        site_packages=(tmp_path / "site-packages",),
        model_folders={"loras": (root / "models/loras", Path("/home/ann/shared/loras"), Path("/mnt/disk/loras"))},
        arguments=("--listen", "0.0.0.0", "--api-key", "hunter2"),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--listen", "0.0.0.0", "--lowvram"], ["--listen", "0.0.0.0", "--lowvram"]),
        (["--api-key", "hunter2", "--port", "8188"], ["--api-key", "${secret:API_KEY}", "--port", "8188"]),
        (["--some-token=hunter2", "--cpu"], ["--some-token=${secret:SOME_TOKEN}", "--cpu"]),
        (
            ["--comfy-api-base", "https://bob:hunter2@x.org/a"],
            ["--comfy-api-base", "https://${secret:URL_CREDENTIALS}@x.org/a"],
        ),
        (["--base-directory", "/home/bob/ComfyUI"], ["--base-directory", "~/ComfyUI"]),
        (["--output-directory=C:\\Users\\bob\\out"], ["--output-directory=~\\out"]),
        (["/Users/bob/x", "/root/X", "/rooted/x"], ["~/x", "~/X", "/rooted/x"]),
    ],
)
def test_arguments_keep_neither_secrets_nor_home_folders(install: Install, given: list[str], said: list[str]) -> None:
    assert list(observe(install.model_copy(update={"arguments": tuple(given)})).arguments) == said


def test_of_the_environment_there_are_names_only_and_few() -> None:
    names = {
        "HF_TOKEN": "hunter2",
        "CUDA_VISIBLE_DEVICES": "0",
        "HOME": "/x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "LD_PRELOAD": "",
    }
    assert environment_names(names) == ("CUDA_VISIBLE_DEVICES", "HF_TOKEN", "LD_PRELOAD")


def test_places_outside_comfyui_and_what_torch_was_built_for(install: Install) -> None:
    version = install.site_packages[0] / "torch/version.py"
    version.parent.mkdir(parents=True)
    version.write_text("from typing import Optional\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    seen = observe(install)
    assert seen.model_paths == ("loras: ~/shared/loras", "loras: /mnt/disk/loras")
    assert seen.cuda == "13.0"
    assert seen.arguments == ("--listen", "0.0.0.0", "--api-key", "${secret:API_KEY}")
    assert seen.environment == ()  # this process is no ComfyUI: its variables say nothing of one
    version.write_text("cuda: Optional[str] = None\nhip: Optional[str] = '6.4.1'\n")
    assert observe(install).cuda == "hip 6.4.1"


def test_gpu_and_driver_are_read_from_the_drivers_own_files(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observed, "_PROC", tmp_path / "nvidia")
    assert observe(install).gpus == ()
    for number, name in (("01", "NVIDIA H200"), ("02", "NVIDIA L4")):
        file = tmp_path / f"nvidia/gpus/0000:{number}:00.0/information"
        file.parent.mkdir(parents=True)
        file.write_text(f"Model: \t\t {name}\nIRQ:   \t\t 1\nGPU UUID: \t GPU-1\n")
    module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build  (root@x)"
    (tmp_path / "nvidia/version").write_text(f"{module}\nGCC version:  gcc version 12.2.0\n")
    seen = observe(install)
    assert (seen.gpus, seen.driver) == (("NVIDIA H200", "NVIDIA L4"), "570.133.20")


def test_a_running_comfyui_says_its_devices_and_variables(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not live_torch().running
    torch = types.ModuleType("torch")
    torch._C = types.SimpleNamespace(_cuda_getArchFlags=lambda: "sm_80 sm_90 compute_90")
    torch.cuda = types.SimpleNamespace(
        is_initialized=lambda: True, device_count=lambda: 1, get_device_name=lambda index: "NVIDIA L4"
    )
    for name, module in (("torch", torch), ("comfy.cli_args", torch), ("folder_paths", torch)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    seen = observe(install)
    assert seen.torch_arch_list == ("sm_80", "sm_90", "compute_90")
    assert "HF_TOKEN" in seen.environment
    assert "hunter2" not in seen.model_dump_json()
    torch.cuda.is_initialized = lambda: False
    assert live_torch().gpus == ()


def test_it_is_in_the_lock_and_in_no_digest(install: Install) -> None:
    first = snapshot_install(install)
    second = snapshot_install(install.model_copy(update={"arguments": ("--cpu",)}))
    assert 'arguments = ["--cpu"]' in lock_toml(second.lock)
    assert "hunter2" not in lock_toml(first.lock)
    assert environment_digest(first.lock, first.pylock) == environment_digest(second.lock, second.pylock)
