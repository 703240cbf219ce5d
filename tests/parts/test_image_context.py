"""A build context is whole, the same for the same capsule, and holds nothing that it should not."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.context import below
from bench.elf import write_shared
from bench.git import commit_all, git
from comfy_capsule.packager.capsule import (
    Capsule,
    ComfyUI,
    Lock,
    Model,
    Pack,
    Platform,
    System,
    read_capsule,
    sha256_bytes,
    tree_digest,
    tree_files,
)
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.image import EPOCH, write_context
from comfy_capsule.packager.image.python import carry_python, find_prefix
from comfy_capsule.packager.materialise import read_pylock
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import packages_of_python

PYLOCK = """\
lock-version = "1.0"
created-by = "comfy-capsule"

[[packages]]
name = "six"
version = "1.17.0"
[[packages.wheels]]
url = "https://index.example/six-1.17.0-py2.py3-none-any.whl"
hashes = {sha256 = "aa11"}

[[packages]]
name = "direct"
version = "2.0"
archive = {url = "https://files.example/direct-2.0-py3-none-any.whl", hashes = {sha256 = "bb22"}}

[tool.comfy-capsule]
unproved = ["odd==1.0"]
"""
MODEL = b"weights"


def origin(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """What a lock says of a git repository with `files` in `folder`."""
    folder.mkdir(parents=True)
    git("init", "--quiet", cwd=folder)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o775)
    commit = commit_all(folder, "x")
    return {"kind": "git", "origin": str(folder), "commit": commit, "tree": tree_digest(folder, tree_files(folder))}


@pytest.fixture
def capsule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capsule:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    core = origin(tmp_path / "origins/core", {"main.py": "1\n"})
    first = origin(tmp_path / "origins/first", {"__init__.py": "2\n"})
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine.safetensors").write_bytes(MODEL)
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
        comfyui=ComfyUI(version="0.30.0", **core),
        packs=(
            Pack(name="first", used=True, **first),
            Pack(name="unused", kind="git", origin="/nowhere", commit="0" * 40),
        ),
        models=(
            Model(folder="vae", name="a/b.safetensors", size=len(MODEL), sha256=sha256_bytes(MODEL)),
            Model(folder="loras", name="same.safetensors", size=len(MODEL), sha256=sha256_bytes(MODEL)),
        ),
    )
    graph = {"1": {"class_type": "A", "inputs": {}}}
    return Capsule(lock, PYLOCK, {}, graph, Contract(name="w"), {"B": {"x": 1}, "A": {}}, {})


def context(capsule: Capsule, tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    write_context(
        capsule,
        folder,
        report=silent,
        models_from=[tmp_path / "models"],
        python_in_base=True,
        base="python:3.11.7-slim",
    )
    return folder


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return found


def test_the_same_capsule_gives_the_same_context(capsule: Capsule, tmp_path: Path) -> None:
    first = context(capsule, tmp_path, "one")
    before = os.umask(0o077)
    try:
        second = context(capsule, tmp_path, "two")
    finally:
        os.umask(before)
    assert files(first) == files(second)
    dates = [{path.relative_to(each): path.lstat().st_mtime_ns for path in each.rglob("*")} for each in (first, second)]
    assert dates[0] == dates[1]
    assert {date // 10**9 for date in dates[0].values()} == {EPOCH}


def test_no_file_of_another_context_is_taken_for_its_own(capsule: Capsule, tmp_path: Path) -> None:
    """BuildKit compares name, size and time, and dates by the clock what folders it has already."""
    other = replace(capsule, graph={"1": {"class_type": "B", "inputs": {}}}, sealed="")
    one, two = (context(each, tmp_path, name) for each, name in ((capsule, "one"), (other, "two")))
    seen = {}
    for path in (each for folder in (one, two) for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(one if path.is_relative_to(one) else two).as_posix()
        status, content = path.stat(), path.read_bytes()
        assert seen.setdefault((name, status.st_size, status.st_mtime_ns), content) == content
    assert (one / "Dockerfile").stat().st_size == (two / "Dockerfile").stat().st_size
    copied = [next((folder / "capsule").iterdir()) for folder in (one, two)]
    assert copied[0].name != copied[1].name
    assert {path.stat().st_mtime for folder in copied for path in (folder, *folder.iterdir())} == {EPOCH}


def test_the_system_gets_what_the_lock_needs_and_our_own_steps(capsule: Capsule, tmp_path: Path) -> None:
    system = System(packages=("ffmpeg", "libgl1", "zlib1g"))
    capsule = replace(capsule, lock=capsule.lock.model_copy(update={"system": system}))
    listed = (context(capsule, tmp_path, "one") / "os/packages.txt").read_text().split()
    assert listed == ["ca-certificates", "ffmpeg", "libc6", "libgcc-s1", "libgl1", "libstdc++6", "zlib1g"]


@pytest.mark.parametrize("name", ["-o=APT::Update::Pre-Invoke::=evil", "a b", "x;evil", "a\nb", "UPPER", ""])
def test_a_name_that_is_no_package_is_refused(capsule: Capsule, tmp_path: Path, name: str) -> None:
    hostile = capsule.lock.model_copy(update={"system": System(packages=(name,))})
    with pytest.raises(BadInput) as refused:
        context(replace(capsule, lock=hostile), tmp_path, "one")
    assert refused.value.code == "capsule-unsafe-name"


def test_a_carried_python_brings_the_libraries_it_is_linked_to(tmp_path: Path) -> None:
    write_shared(tmp_path / "bin/python3.11", needed=["libpython3.11.so.1.0", "libc.so.6"])
    write_shared(tmp_path / "lib/libpython3.11.so.1.0", needed=["libcrypt.so.1"])
    dynload = tmp_path / "lib/python3.11/lib-dynload"
    write_shared(dynload / "_ssl.cpython-311-x86_64-linux-gnu.so", needed=["libssl.so.3", "libodd.so.1"])
    write_shared(dynload / "_tkinter.cpython-311-x86_64-linux-gnu.so", needed=["libtk8.6.so"])
    assert packages_of_python(tmp_path) == {"libc6", "libcrypt1", "libssl3"}


def test_what_is_in_it(capsule: Capsule, tmp_path: Path) -> None:
    folder = context(capsule, tmp_path, "one")
    found = files(folder)
    comfyui, packs = (below(folder / name).relative_to(folder) for name in ("sources/comfyui", "sources/packs"))
    assert found[f"{comfyui}/main.py"] == (0o644, b"1\n")
    assert found[f"{packs}/first/comfyui/custom_nodes/first/run.sh"][0] == 0o755
    assert not any("unused" in name or ".git/" in name or "__pycache__" in name for name in found)
    baked = f"models/{sha256_bytes(MODEL)}/comfyui/models"
    assert found[f"{baked}/vae/a/b.safetensors"] == found[f"{baked}/loras/same.safetensors"] == (0o444, MODEL)
    locked = read_pylock(found["lock/pylock.toml"][1].decode())
    assert locked.versions() == {"six": "1.17.0", "direct": "2.0"}
    wheels = read_pylock(PYLOCK).pylock.packages[0].wheels
    assert locked.pylock.packages[0].wheels == wheels
    assert found["lock/unproved.txt"][1] == b"odd==1.0\n"
    assert "gateway/comfy_capsule/packager/gateway/__init__.py" in found
    assert not any(name.startswith(("gateway/comfy_capsule/tests", "gateway/comfy_capsule/web")) for name in found)
    assert read_capsule(below(folder / "capsule") / "w.capsule.zip").digests.capsule == capsule.digests.capsule
    assert b"docker buildx build" in found["README.md"][1]


def test_a_model_that_is_not_baked_is_a_link_and_need_not_be_had(capsule: Capsule, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    said = {"report": silent, "python_in_base": True, "base": "python:3.11.7-slim"}
    write_context(capsule, folder, policies={"": "mount", "same.safetensors": "fetch"}, **said)  # type: ignore[arg-type]
    assert not (folder / "models").exists()
    sha = sha256_bytes(MODEL)
    links = below(folder / "links") / "comfyui/models"
    places = {path.relative_to(links).as_posix(): os.readlink(path) for path in links.rglob("*.*")}
    assert places == dict.fromkeys(("vae/a/b.safetensors", "loras/same.safetensors"), f"/models/sha256/{sha[:2]}/{sha}")
    assert "- models:/models" in (folder / "compose.yaml").read_text()
    with pytest.raises(
        BadInput, match=r"no model 'never'; it has: vae/a/b\.safetensors, loras/same\.safetensors\."
    ) as no:
        write_context(capsule, tmp_path / "two", policies={"never": "bake"}, **said)  # type: ignore[arg-type]
    assert no.value.code == "no-such-model"
    assert not (tmp_path / "two").exists()


def test_a_folder_with_something_in_it_is_left_alone(capsule: Capsule, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x").write_text("x")
    with pytest.raises(BadInput) as caught:
        context(capsule, tmp_path, "mine")
    assert caught.value.code == "context-exists"
    assert os.listdir(tmp_path / "mine") == ["x"]


def test_a_failure_leaves_nothing(capsule: Capsule, tmp_path: Path) -> None:
    (tmp_path / "models/mine.safetensors").unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(CapsuleError):
        context(capsule, tmp_path, "one")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == [
        name for name in before if name != "data"
    ]


class Here:
    """A place with one interpreter."""

    def __init__(self, interpreter: Path | None) -> None:
        self.interpreter = interpreter

    def find(self, version: str, implementation: str) -> Path | None:
        return self.interpreter


def interpreter(prefix: Path, says: str) -> Path:
    (prefix / "bin").mkdir(parents=True)
    path = prefix / "bin/python3.11"
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


def test_a_prefix_is_carried_without_what_was_installed_into_it(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    path = interpreter(prefix, str(prefix))
    for name in ("os.py", "site-packages/mine.py", "__pycache__/os.pyc", "json/__init__.py"):
        (prefix / "lib/python3.11" / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / "lib/python3.11" / name).write_text("")
    (prefix / "bin/pip").write_text("")
    (prefix / "lib/libpython3.11.so.1.0").write_text("")
    assert find_prefix("3.11.7", "cpython", [Here(None), Here(path)]) == prefix
    carry_python(prefix, "3.11.7", tmp_path / "to", silent)
    assert sorted(item.relative_to(tmp_path / "to").as_posix() for item in (tmp_path / "to").rglob("*")) == [
        *("bin", "bin/python", "bin/python3", "bin/python3.11"),
        *("lib", "lib/libpython3.11.so.1.0", "lib/python3.11", "lib/python3.11/json"),
        *("lib/python3.11/json/__init__.py", "lib/python3.11/os.py"),
    ]


def test_a_python_of_the_system_cannot_be_carried(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        find_prefix("3.11.7", "cpython", [Here(interpreter(tmp_path / "x", "/usr"))])
    assert caught.value.code == "image-no-python"
    assert "uv python install 3.11.7" in caught.value.cure
