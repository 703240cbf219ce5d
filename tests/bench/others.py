"""A small ComfyUI, packs and a package index that a file of another tool can name, all real, for its import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.materialise import read_pylock
from comfy_capsule.packager.others import Places, make, read_others

from .index import PackageIndex, default_index, make_wheel
from .packs import Commit, build_pack

#: What nothing may run without a yes.
RAN = "raise SystemExit('run without a yes')\n"
_CORE = {
    "main.py": RAN,
    "nodes.py": "",
    "folder_paths.py": RAN,
    "comfy/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    ".gitignore": "/custom_nodes/\n/models/\n/input/\n",
}


class World:
    """A ComfyUI, packs and an index that a file can name."""

    def __init__(self, folder: Path, index: PackageIndex) -> None:
        self.folder, self.index = folder, index
        origins = folder / "origins"
        later = Commit("later", {"new.py": ""})
        self.core = build_pack(origins, "ComfyUI", Commit("core", _CORE, tag="v0.30.0"), later)
        self.tint = build_pack(origins, "tint", Commit("one", {"__init__.py": RAN, "install.py": RAN}), later)
        self.grain = build_pack(origins, "grain", Commit("one", {"__init__.py": RAN}))
        for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "1.5")):
            make_wheel(index.folder, name, version)
        self.places = Places(comfyui=self.core.url, local=True)

    def manager(self, **said: Any) -> dict[str, Any]:
        return {
            "comfyui": self.core.commits[0],
            "git_custom_nodes": {
                self.tint.url: {"hash": self.tint.commits[0], "disabled": False},
                self.grain.url: {"hash": self.grain.commits[0], "disabled": True},
            },
            "cnr_custom_nodes": {},
            "file_custom_nodes": [],
            "pips": {"alpha==1.0": "", "beta==1.5": ""},
            **said,
        }

    def file(self, said: Any, name: str = "snapshot.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(said))
        return path

    def make(self, said: Any, **how: Any) -> Capsule:
        return make(read_others(self.file(said)), "old", **{"places": self.places, **how})


@contextmanager
def a_world(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[World]:
    """A world in `folder`, of whose index and no other uv takes packages."""
    for name in ("STATE", "DATA", "CACHE"):
        environment.setenv(f"XDG_{name}_HOME", str(folder / name))
    with default_index(folder, environment) as index:
        yield World(folder, index)


class Files(SimpleHTTPRequestHandler):
    """The files of a folder, as a host of git repositories or wheels gives them."""

    def log_message(self, *_: object) -> None: ...


def found(capsule: Capsule, code: str) -> dict[str, str]:
    return {item.subject: item.message for item in capsule.lock.findings if item.code == code}


def commits(capsule: Capsule) -> dict[str, str]:
    return {"ComfyUI": capsule.lock.comfyui.commit, **{pack.name: pack.commit for pack in capsule.lock.packs}}


def pins(capsule: Capsule) -> dict[str, str]:
    return read_pylock(capsule.pylock).versions()
