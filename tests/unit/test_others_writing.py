"""A capsule as another tool's snapshot: what fits is there, and every single thing that does not is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from comfy_capsule.packager.capsule import (
    Capsule,
    ComfyUI,
    InputFile,
    Lock,
    Model,
    Pack,
    Platform,
    Submodule,
    System,
    UsedFile,
)
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.others import write_snapshot

A, B, HASH = "a" * 40, "b" * 40, "c" * 64
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PYLOCK = f"""
lock-version = "1.0"
created-by = "t"
[[packages]]
name = "plain"
version = "1.0"
[[packages.wheels]]
url = "https://example.com/plain-1.0-py3-none-any.whl"
hashes = {{ sha256 = "{HASH}" }}
[[packages]]
name = "own"
version = "2.0"
[[packages.wheels]]
path = "python/own-2.0-py3-none-any.whl"
hashes = {{ sha256 = "{HASH}" }}
[tool.comfy-capsule]
unproved = ["odd==3.0"]
[tool.comfy-capsule.removed]
plain = ["site-packages/plain.py"]
"""
PACKS = (
    Pack(name="clean", kind="git", origin="https://h/x/clean", commit=A),
    Pack(name="clean-2", kind="git", origin="https://h/x/clean", commit=B),
    Pack(name="moved", kind="git", origin="https://h/x/other.git", commit=A, enabled=False, line_ends="crlf"),
    Pack(
        name="dirty",
        kind="git",
        origin="https://h/x/dirty",
        commit=A,
        patch="packs/dirty.patch",
        bundle="packs/dirty.bundle",
        submodules=(Submodule(path="lib", origin="https://h/x/lib", commit=B),),
    ),
    Pack(name="homeless", kind="git", commit=A, bundle="packs/homeless.bundle"),
    Pack(name="Blur", kind="registry", registry="blur@1.0.0", carried="packs/Blur.tar"),
    Pack(name="off", kind="registry", registry="off@1.0.0", enabled=False, carried="packs/off.tar"),
    Pack(name="plain", kind="folder", carried="packs/plain.tar"),
    Pack(name="one.py", kind="file", carried="packs/one.py"),
)


def a_capsule(**said: Any) -> Capsule:
    usual = {
        "name": "w",
        "platform": Platform(os="linux", arch="x86_64", python="3.11.7", torch="2.11.0+cpu"),
        "comfyui": ComfyUI(
            version="0.30.0", kind="git", origin="https://h/fork", commit=A, patch="comfyui.patch", line_ends="crlf"
        ),
        "packs": PACKS,
        "system": System(packages=("ffmpeg",)),
        "models": (Model(folder="loras", name="x", size=1, sha256=HASH),),
        "inputs": (InputFile(name="in.png", size=1, sha256=HASH),),
        "files": (UsedFile(place="cache", name="hub/x", size=1, sha256=HASH),),
    }
    graph = {"1": {"class_type": "X", "inputs": {}}}
    return Capsule(Lock(**{**usual, **said}), PYLOCK, {}, graph, Contract(name="w"), {}, {})


def subjects(capsule: Capsule, form: Literal["manager", "desktop"]) -> list[str]:
    made = write_snapshot(capsule, form, NOW).lost
    assert all(item.code == "lost" and item.cure and item.message.endswith(".") for item in made)
    return sorted(item.subject for item in made)


COMMON = [
    *("ComfyUI", "ComfyUI"),  # its fork, its changes
    *("clean-2", "homeless", "plain", "one.py", "Blur"),
    *["the pack 'dirty'"] * 3,
    *("digests", "hashes", "torch", "wheels", "changed files"),
    *("system", "models", "inputs", "files", "workflow", "line ends"),
]


def test_manager() -> None:
    made = write_snapshot(a_capsule(), "manager", NOW)
    assert made.document == {
        "comfyui": A,
        "git_custom_nodes": {
            "https://h/x/clean": {"hash": A, "disabled": False},
            "https://h/x/other.git": {"hash": A, "disabled": True},
            "https://h/x/dirty": {"hash": A, "disabled": False},
        },
        "cnr_custom_nodes": {"blur": "1.0.0"},
        "file_custom_nodes": [{"filename": "one.py", "disabled": False}],
        "pips": {"odd==3.0": "", "own==2.0": "", "plain==1.0": ""},
    }
    # its folder names follow from addresses and ids, and it leaves out disabled packs of the registry
    assert subjects(a_capsule(), "manager") == sorted([*COMMON, "off", "moved", "Blur", "Python"])


def test_desktop() -> None:
    (one,) = write_snapshot(a_capsule(), "desktop", NOW).document["snapshots"]
    assert one["comfyui"] == {"ref": A, "commit": A, "releaseTag": "", "variant": ""}
    assert (one["createdAt"], one["pythonVersion"]) == ("2026-01-02T03:04:05.000Z", "3.11.7")
    assert [(node["dirName"], node["type"], node["enabled"]) for node in one["customNodes"]] == [
        ("clean", "git", True),
        ("clean-2", "git", True),
        ("moved", "git", False),
        ("dirty", "git", True),
        ("Blur", "cnr", True),
        ("off", "cnr", False),
        ("one.py", "file", True),
    ]
    assert one["pipPackages"] == {"odd": "3.0", "own": "2.0", "plain": "1.0"}
    without = [name for name in COMMON if name != "clean-2"]
    assert subjects(a_capsule(), "desktop") == sorted([*without, "off"])


def test_a_comfyui_without_a_commit_is_named_by_its_version() -> None:
    core = ComfyUI(version="0.30.0", kind="folder", carried="comfyui.tar")
    made = write_snapshot(a_capsule(comfyui=core), "manager", NOW)
    assert made.document["comfyui"] is None
    assert "ComfyUI" in {item.subject for item in made.lost}
    (one,) = write_snapshot(a_capsule(comfyui=core), "desktop", NOW).document["snapshots"]
    assert one["comfyui"] == {"ref": "v0.30.0", "commit": None, "releaseTag": "", "variant": ""}


@pytest.mark.parametrize("form", ["manager", "desktop"])
def test_of_a_plain_official_comfyui_only_what_the_form_never_holds_is_lost(
    form: Literal["manager", "desktop"],
) -> None:
    core = ComfyUI(version="1", kind="git", origin="https://github.com/comfyanonymous/ComfyUI.git", commit=A)
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=core)
    empty = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
    capsule = Capsule(lock, empty, {}, {}, Contract(name="w"), {}, {})
    assert subjects(capsule, form) == (["Python"] if form == "manager" else [])
