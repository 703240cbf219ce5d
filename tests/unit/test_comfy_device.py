"""Which GPUs a process may use, and whether their driver is new enough, told without torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from comfy_capsule.packager.comfy import driver_problem, oldest_driver, visible_gpus


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an ``nvidia-smi`` may be put that is found first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "nvidia-smi"


def write(tool: Path, says: str) -> None:
    tool.write_text(f"#!/bin/sh\n{says}\n")
    tool.chmod(0o755)


@pytest.mark.parametrize(
    ("given", "seen"),
    [("0,1", ["0", "1"]), ("", []), ("-1", []), ("0,-1,1", ["0"]), ("GPU-8932f937, MIG-1", ["GPU-8932f937", "MIG-1"])],
)
def test_the_gpus_that_the_environment_leaves_are_told(given: str, seen: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": given}) == seen


def test_the_machine_is_asked_for_its_gpus(tool: Path) -> None:
    write(tool, "echo GPU-one; echo GPU-two")
    assert visible_gpus({}) == ["GPU-one", "GPU-two"]
    write(tool, "echo No devices were found; exit 6")
    assert visible_gpus({}) == []


@pytest.mark.parametrize(
    ("torch", "oldest"),
    [
        ("2.11.0+cu130", "580.65.06"), ("2.6.0+cu124", "525.60.13"), ("2.0.1+cu118", "450.80.02"),
        ("2.11.0+cpu", ""), ("2.11.0+rocm6.4", ""), ("2.11.0", ""), ("9.0+cu990", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_oldest_driver_is_that_of_torchs_cuda(torch: str, oldest: str) -> None:
    assert oldest_driver(torch) == oldest


def test_a_driver_that_is_too_old_is_a_sentence(tool: Path) -> None:
    write(tool, 'test "$1" = --query-gpu=driver_version && echo 570.124.06')
    assert driver_problem("2.11.0+cu130") == (
        "The NVIDIA driver here is 570.124.06; torch 2.11.0+cu130 needs 580.65.06 or newer."
    )
    assert driver_problem("2.6.0+cu124") == ""
    assert driver_problem("2.11.0+cpu") == ""
    write(tool, "exit 6")
    assert driver_problem("2.11.0+cu130") == "", "no GPU is another matter"
