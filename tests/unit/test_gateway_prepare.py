"""What must be there before a ComfyUI starts is brought, or said in a sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.gateway.prepare import dangling, prepare

SHA = "ab" * 32


@pytest.fixture
def install(tmp_path: Path) -> Install:
    (tmp_path / "models/vae").mkdir(parents=True)
    folders = {f"{name}_dir": tmp_path for name in ("input", "output", "temp", "user")}
    return Install.model_validate(
        {
            **folders,
            "root": tmp_path,
            "python": tmp_path / "python",
            "python_version": "3.11.7",
            "implementation": "cpython",
            "base_prefix": tmp_path,
            "site_packages": (),
            "version": "0.30.0",
            "custom_nodes": (),
            "model_folders": {},
            "model_extensions": {},
        }
    )


def link(install: Install, name: str, target: Path) -> None:
    (install.root / "models" / name).symlink_to(target)


async def test_a_command_goes_first_and_brings_what_links_lead_to(install: Install, tmp_path: Path) -> None:
    file = tmp_path / f"store/sha256/ab/{SHA}"
    link(install, "vae/a b.safetensors", file)
    with pytest.raises(CapsuleError, match=r"The model vae/a b\.safetensors is not in the volume") as refused:
        await prepare("", install)
    assert refused.value.code == "model-missing"
    (tmp_path / "bring.sh").write_text(f"mkdir -p '{file.parent}' && echo x > '{file}'\n")
    await prepare(f"sh '{tmp_path}/bring.sh'", install)
    await prepare("", install)


def test_other_links_are_not_ours(install: Install, tmp_path: Path) -> None:
    link(install, "vae/mine.safetensors", tmp_path / "nowhere")
    link(install, "folder", tmp_path / f"sha256/ab/{SHA[:-1]}")
    assert dangling(install.root / "models") == []
    link(install, "vae/ours.safetensors", tmp_path / f"sha256/ab/{SHA}")
    assert dangling(install.root / "models") == ["vae/ours.safetensors"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("sh -c 'echo one; echo two >&2; exit 3'", "sh ended with 3: one two"),
        ("false", "false ended with 1: it said nothing"),
        ("/never/a/program", "/never/a/program cannot be run: No such file or directory."),
    ],
)
async def test_a_command_that_fails_is_the_reason(install: Install, command: str, says: str) -> None:
    with pytest.raises(CapsuleError) as refused:
        await prepare(command, install)
    assert (refused.value.code, refused.value.message) == ("prepare-failed", says)


async def test_a_command_ends_with_the_gateway(install: Install, tmp_path: Path) -> None:
    script = f"echo $$ > '{tmp_path}/pid'; exec sleep 60"
    (tmp_path / "wait.sh").write_text(script)
    waiting = asyncio.create_task(prepare(f"sh '{tmp_path}/wait.sh'", install))
    async with asyncio.timeout(5):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
