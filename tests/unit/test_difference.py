"""What changed between two snapshots, in a person's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.gateway import blank_capsule
from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import ComfyUI, Finding, Lock, Model, Pack, Platform, Submodule, write_capsule
from comfy_capsule.packager.difference import Change, Side, differences, read_side
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.snapshot import Snapshot, write_lock

PLATFORM = Platform(os="linux", arch="x86_64", python="3.11.7", torch="2.11.0+cu130")
CORE = ComfyUI(version="0.29.0", kind="git", commit="a" * 40, tree="1" * 64)
PACK = Pack(name="gguf", kind="git", commit="b" * 40, tree="2" * 64)
MODEL = Model(folder="loras", name="x.safetensors", size=10, sha256="3" * 64)


def side(pylock: str = "", of_workflow: bool = True, **said: object) -> Side:
    fields = {"name": "w", "platform": PLATFORM, "comfyui": CORE, "packs": (PACK,), "models": (MODEL,), **said}
    return Side(Lock.model_validate(fields), pylock or locked(torch="2.11.0", numpy="2.0"), of_workflow)


def locked(**versions: str) -> str:
    packages = "".join(
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n[packages.archive]\n'
        f'url = "https://example.com/{name}.whl"\nhashes = {{sha256 = "{"0" * 64}"}}\n'
        for name, version in versions.items()
    )
    return f'lock-version = "1.0"\ncreated-by = "test"\n{packages}' + ("" if versions else "packages = []\n")


def lines(before: Side, after: Side) -> list[tuple[str, str, str]]:
    return [change.line for change in differences(before, after)]


def test_equal_ones_have_no_difference() -> None:
    assert lines(side(), side(message="another", observed={"frontend": "1.0"})) == []


def test_each_kind_of_change_is_one_line() -> None:
    other = side(
        pylock=locked(torch="2.12.0", aiohttp="3.0"),
        platform=PLATFORM.model_copy(update={"python": "3.12.1"}),
        comfyui=CORE.model_copy(update={"version": "0.30.0", "commit": "c" * 40, "tree": "4" * 64}),
        packs=(
            PACK.model_copy(update={"patch": "packs/gguf.patch", "tree": "5" * 64}),
            Pack(name="new", kind="folder", tree="6" * 64, enabled=False),
        ),
        models=(MODEL.model_copy(update={"sha256": "7" * 64}),),
        findings=(Finding(code="local-changes", subject="gguf", message="It is changed.", cure="c"),),
    )
    assert lines(side(), other) == [
        ("comfyui", "~ ComfyUI", "0.29.0 aaaaaaaaaaaa, tree 111111111111 → 0.30.0 cccccccccccc, tree 444444444444"),
        ("pack", "~ gguf", "bbbbbbbbbbbb, tree 222222222222 → bbbbbbbbbbbb, with local changes, tree 555555555555"),
        ("pack", "+ new", "folder, tree 666666666666, disabled"),
        ("python", "~ torch", "2.11.0 → 2.12.0"),
        ("python", "- numpy", "2.0"),
        ("python", "+ aiohttp", "3.0"),
        ("platform", "~ python", "3.11.7 → 3.12.1"),
        ("model", "~ loras/x.safetensors", "10 bytes 333333333333 → 10 bytes 777777777777"),
        ("finding", "+ local-changes gguf", "It is changed."),
    ]


def test_a_submodule_that_moved_is_a_change_of_its_pack() -> None:
    inside = PACK.model_copy(update={"submodules": (Submodule(path="lib", commit="d" * 40),)})
    (change,) = differences(side(packs=(inside,)), side())
    assert "lib at dddddddddddd" in change.before


def test_a_pack_with_a_disabled_twin_is_two() -> None:
    twin = Pack(name="gguf", kind="git", commit="e" * 40, tree="8" * 64, enabled=False)
    changed = [change.subject for change in differences(side(), side(packs=(PACK, twin)))]
    assert changed == ["gguf.disabled"]


def test_a_comfyui_alone_has_no_models_to_compare() -> None:
    assert lines(side(), side(models=(), of_workflow=False)) == []


def test_the_command_takes_capsules_and_folders_and_says_it_by_its_status(tmp_path: Path) -> None:
    file, folder = tmp_path / "w.capsule.zip", tmp_path / "lock"
    write_capsule(blank_capsule(), file)
    write_lock(Snapshot(lock=side().lock, pylock=side().pylock, files={}), folder)
    same = CliRunner().invoke(cli.command, ["diff", str(file), str(file)])
    assert (same.exit_code, same.output) == (0, "Nothing changed.\n")
    other = CliRunner().invoke(cli.command, ["diff", str(file), str(folder), "--json"])
    said = json.loads(other.output)
    assert other.exit_code == 1
    assert not said["equal"]
    assert Change.model_validate(said["changes"][0]).section == "comfyui"


def test_what_is_no_snapshot_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no ComfyUI"):
        read_side(tmp_path)
    (tmp_path / "capsule.toml").write_text("format = 3")
    with pytest.raises(BadInput, match="cannot be read"):
        read_side(tmp_path)
