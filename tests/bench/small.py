"""Very small ComfyUIs on disk, of real git checkouts and a real environment, and the capsule of one of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_capsule.packager.capsule import Capsule, InputFile, Model, UsedFile
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.materialise import ModelStore, site_packages
from comfy_capsule.packager.progress import Progress, silent
from comfy_capsule.packager.restore import ExistingPlan, Mode, RestoredExisting, plan_existing, restore_existing
from comfy_capsule.packager.snapshot import snapshot_install

from .git import git
from .index import make_wheel
from .installs import install_at
from .packs import Commit, build_pack, clone_pack
from .packs import Pack as Published
from .python_env import HERE, install, venv

OLD = {
    "main.py": "raise SystemExit('booted without a yes')\n",
    "nodes.py": "old = 1\n",
    "folder_paths.py": "raise SystemExit('run without a yes')\n",
    "comfy/__init__.py": "",
    "comfy/gone.py": "",
    "web/index.js": "",
    "comfyui_version.py": '__version__ = "0.29.0"\n',
    "custom_nodes/websocket_image_save.py": "old = 1\n",
    ".gitignore": "/custom_nodes/*\n!/custom_nodes/websocket_image_save.py\n/models/\n/input/\n*.db\n/.venv/\n/venv/\n",
}
NEW: dict[str, str | None] = {
    "nodes.py": "new = 1\n",
    "comfy/gone.py": None,
    "web": None,
    "app/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    "custom_nodes/websocket_image_save.py": "new = 1\n",
}
MODEL, PICTURE, USED = b"weights" * 1000, b"picture", b"hub" * 10


@dataclass(frozen=True)
class Origins:
    """Where the small ComfyUIs are cloned from, and their wheels."""

    core: Published
    tint: Published
    other: Published
    wheels: Mapping[str, Path]


def make_origins(folder: Path) -> Origins:
    """ComfyUI in two versions, the pack ``tint`` in two, the pack ``other``; wheels, two of them of ``alpha``."""
    origins = folder / "origins"
    needs = {"requirements.txt": "alpha<2  # as it was\nbeta>=1\n"}
    wheels = {
        "alpha1": make_wheel(folder / "wheels", "alpha", "1.0"),
        "alpha2": make_wheel(folder / "wheels", "alpha", "2.0"),
        "beta": make_wheel(folder / "wheels", "beta", requires="gamma"),
        "gamma": make_wheel(folder / "wheels", "gamma"),
        "unused": make_wheel(folder / "wheels", "unused"),
    }
    ignored = {".gitignore": "settings.ini\nown/\n"}
    one = {"__init__.py": "one = 1\n", **ignored}
    return Origins(
        core=build_pack(origins, "ComfyUI", Commit("old", OLD), Commit("new", NEW)),
        tint=build_pack(origins, "tint", Commit("one", one), Commit("two", {"__init__.py": "2\n"})),
        other=build_pack(origins, "other", Commit("one", {"__init__.py": "", **ignored, **needs})),
        wheels=wheels,
    )


def make_small(
    root: Path,
    origins: Origins,
    *,
    core: int = -1,
    packs: Mapping[str, int] | None = None,
    wheels: Iterable[str] = (),
    environment: str = ".venv",
) -> Path:
    """A ComfyUI at `root`: its commit `core`, of each of `packs` (``tint``, ``other``) one, and the wheels said."""
    root.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "--quiet", origins.core.url, root, cwd=root.parent)
    git("checkout", "--quiet", "--detach", origins.core.commits[core], cwd=root)
    for name, commit in (packs or {}).items():
        pack: Published = getattr(origins, name)
        clone_pack(pack, root / "custom_nodes", pack.commits[commit])
    venv(root / environment)
    install("uv", root / environment, [origins.wheels[name] for name in wheels], "--no-deps", "--offline")
    for name in ("models", "input"):
        (root / name).mkdir()
    return root


def as_small(root: Path, environment: str = ".venv") -> Install:
    """The small ComfyUI at `root` as the engine sees it."""
    place = root / environment
    version = (root / "comfyui_version.py").read_text().split('"')[1]
    said = {"python": place / "bin/python", "python_version": HERE, "site_packages": (site_packages(place),)}
    return install_at(root, version=version, **said)


def make_capsule(folder: Path, origins: Origins, *, commit: int = -1, wheel: str = "alpha2") -> Capsule:
    """The newest ComfyUI with the newest ``tint``, a pack without git, a disabled one; ``alpha`` 2; a model, an input.

    What a run opened is in it too: a file that ``tint`` ignores, and one of a cache. The model is ``mine/w.bin``.
    """
    root = make_small(folder / "source", origins, core=commit, packs={"tint": commit}, wheels=[wheel])
    (root / "custom_nodes/plain").mkdir()
    (root / "custom_nodes/plain/__init__.py").write_text("plain = 1\n")
    (root / "custom_nodes/off.disabled").mkdir()
    (root / "custom_nodes/off.disabled/__init__.py").write_text("off = 1\n")
    taken = snapshot_install(as_small(root), name="w")
    (folder / "mine").mkdir()
    (folder / "mine/w.bin").write_bytes(MODEL)
    said = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in _FILES.items()}
    lock = taken.lock.model_copy(
        update={
            "models": (Model(folder="upscale_models", name="sub/x2.safetensors", **said["model"]),),
            "inputs": (InputFile(name="a.png", **said["input"]),),
            "files": (
                UsedFile(place="comfyui", name="custom_nodes/tint/own/t.bin", carried="files/0", **said["used"]),
                UsedFile(place="cache", name="huggingface/hub/x.bin", carried="files/1", **said["used"]),
            ),
        }
    )
    files = {**taken.files, "inputs/a.png": PICTURE, "files/0": USED, "files/1": USED}
    graph = {"1": {"class_type": "Tint", "inputs": {}}}
    ui = {"nodes": [{"id": 1, "type": "Tint"}], "links": [], "version": 0.4}
    return Capsule(lock, taken.pylock, ui, graph, Contract(name="w"), {"Tint": {}}, files)


_FILES = {"model": MODEL, "input": PICTURE, "used": USED}


def whole_tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, link and folder under `root`, by name: its mode, and its content or where it leads. No byte code."""
    found = {}
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in [*folders, *names]:
            path = Path(base, name)
            status = path.lstat()
            data = b""
            if stat.S_ISLNK(status.st_mode):
                data = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                data = path.read_bytes()
            found[path.relative_to(root).as_posix()] = (status.st_mode, data)
    return found


class Small:
    """The small origins and the capsule in `folder`, and what tests of restores do with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origins = make_origins(folder)
        self.capsule = make_capsule(folder, self.origins)

    def install(self, root: Path, **said: Any) -> Path:
        """See `make_small`."""
        return make_small(root, self.origins, **said)

    def kind(self, kind: str, root: Path) -> Path:
        """The five kinds of installs; all but the dirty one can be changed."""
        if kind == "clean":
            return self.install(root, wheels=["alpha2"])
        if kind == "other-packs":
            self.install(root, packs={"tint": 0, "other": -1}, wheels=["alpha2", "beta", "gamma", "unused"])
            (root / "custom_nodes/other/settings.ini").write_text("mine\n")
            (root / "custom_nodes/tint/settings.ini").write_text("mine\n")
            (root / "custom_nodes/single.py").write_text("")
            return root
        if kind == "dirty":
            self.install(root, packs={"tint": 0, "other": -1}, wheels=["alpha2", "beta", "gamma"])
            (root / "custom_nodes/tint/__init__.py").write_text("mine = 1\n")
            return root
        if kind == "conflict":
            return self.install(root, packs={"other": -1}, wheels=["alpha1", "beta", "gamma"])
        assert kind == "other-version"
        self.install(root, core=0, wheels=["alpha1"], environment="venv")
        (root / "user.db").write_text("mine\n")
        (root / "comfy/cache.db").write_text("mine\n")
        (root / "models/upscale_models/sub").mkdir(parents=True)
        (root / "models/upscale_models/sub/x2.safetensors").write_bytes(b"another")
        return root

    def plan(self, root: Path, mode: Mode) -> ExistingPlan:
        """What a restore into `root` would do."""
        return plan_existing(self.capsule, root, mode, models_from=[self.folder / "mine"], store=self._store)

    def into(self, root: Path, mode: Mode, report: Callable[[Progress], None] = silent) -> RestoredExisting:
        """The capsule restored into `root`."""
        models, store = [self.folder / "mine"], self._store
        return restore_existing(self.capsule, root, mode, models_from=models, store=store, report=report)

    @property
    def _store(self) -> ModelStore:
        return ModelStore(self.folder / "store")
