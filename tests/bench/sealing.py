"""A capsule to seal: everything that it needs lies around it, and can be taken away."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import (
    SMALLEST_PART,
    Capsule,
    ComfyUI,
    Lock,
    Model,
    Platform,
    Source,
    Submodule,
    tree_digest,
    tree_files,
)
from comfy_capsule.packager.capsule import Pack as LockedPack
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.vendor import seal

from .git import git
from .index import PackageIndex, default_index, make_wheel
from .packs import Commit, Pack, build_pack
from .python_env import as_install, install, venv

if TYPE_CHECKING:
    import pytest

CORE = {
    "main.py": "1\n",
    "nodes.py": "",
    "folder_paths.py": "",
    "comfy/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    ".gitignore": "/custom_nodes/\n/models/\n/input/\n",
}
MODEL = bytes(range(256)) * (SMALLEST_PART // 256 + 4)


@dataclass
class Bench:
    """A capsule, and everything outside it that it needs."""

    folder: Path
    capsule: Capsule
    index: PackageIndex
    env: Path

    def seal(self, name: str = "sealed", what: str = "all", **said: object) -> Path:
        out = self.folder / name / "w.capsule.zip"
        usual = {"models_from": [self.folder / "mine"], "store": ModelStore(self.folder / "store"), "report": silent}
        seal(self.capsule, out, what, **{**usual, **said})  # type: ignore[arg-type]
        return out

    def take_everything_away(self) -> None:
        for name in ("origins", "mine", "store", "index", "uv", "v"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def tree_of(pack: Pack, folder: Path) -> str:
    git("clone", "--quiet", pack.url, folder, cwd=folder.parent)
    return tree_digest(folder, tree_files(folder))


@contextmanager
def sealing_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A capsule of a small ComfyUI whose every origin is in `tmp_path`, with stores and caches of its own there."""
    for name in ("STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f"xdg/{name}"))
    with default_index(tmp_path, monkeypatch) as index:
        made = venv(tmp_path / "v")
        for name in ("alpha", "beta"):
            make_wheel(index.folder, name, entry=f"{name}-run = {name}:main")
        install("uv", made, ["alpha==1.0", "beta==1.0"])
        by_address = make_wheel(index.folder, "Gamma_ray", "2.0+cu130")
        address = index.address.removesuffix("simple") + "files/" + by_address.name
        install("pip", made, [f"gamma-ray @ {address}"])
        install("uv", made, [make_wheel(tmp_path / "own", "private")])
        said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
        core = build_pack(tmp_path / "origins", "ComfyUI", Commit("core", CORE))
        library = build_pack(tmp_path / "origins", "lib", Commit("lib", {"lib.py": "x = 1\n"}))
        pack = build_pack(tmp_path / "origins", "tint", Commit("old", {"a.py": "0"}), Commit("new", {"a.py": "1\n"}))
        trees = {each.name: tree_of(each, tmp_path / f"tree-{each.name}") for each in (core, library, pack)}
        whole = tmp_path / "tree-tint"
        shutil.copytree(tmp_path / "tree-lib", whole / "lib")
        lock = Lock(
            name="w",
            platform=Platform(os="linux", arch=os.uname().machine, python=".".join(map(str, sys.version_info[:3]))),
            comfyui=ComfyUI(
                version="0.30.0", kind="git", origin=core.url, commit=core.commits[-1], tree=trees["ComfyUI"]
            ),
            packs=(
                LockedPack(
                    name="tint",
                    kind="git",
                    origin=pack.url,
                    commit=pack.commits[-1],
                    tree=tree_digest(whole, tree_files(whole)),
                    submodules=(Submodule(path="lib", origin=library.url, commit=library.commits[-1]),),
                    used=True,
                ),
            ),
            models=(
                Model(
                    folder="vae", name="small.safetensors", size=len(MODEL), sha256=hashlib.sha256(MODEL).hexdigest()
                ),
            ),
        )
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/a.bin").write_bytes(MODEL)
        ui = {"nodes": [{"id": 1, "type": "Tint"}], "links": [], "version": 0.4}
        graph = {"1": {"class_type": "Tint", "inputs": {}}}
        capsule = Capsule(lock, said.text, ui, graph, Contract(name="w"), {"Tint": {}}, said.files)
        yield Bench(tmp_path, capsule, index, made)


def checkouts(capsule: Capsule) -> list[Source | Submodule]:
    """ComfyUI, the packs, and the submodules of the first."""
    return [capsule.lock.comfyui, *capsule.lock.packs, *capsule.lock.packs[0].submodules]
