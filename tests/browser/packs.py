"""Our own pack as a user has it: a clone of this working tree, of any name, in a ComfyUI's ``custom_nodes``."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.git import commit_all, git, publish
from comfy_capsule.packager.command import run
from comfy_capsule.packager.uv import find_uv

ROOT = Path(__file__).parents[2]


def publish_ourselves(place: Path) -> Path:
    """A bare repository of the files of this working tree as they are, committed or not."""
    tree = place / "tree"
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    git("init", "--quiet", cwd=tree)
    commit_all(tree, "This working tree")
    origin = place / "comfy-capsule.git"
    publish(tree, origin)
    shutil.rmtree(tree)
    return origin


def clone_ourselves(origin: Path, comfyui: Path, name: str = "comfy-capsule") -> Path:
    """Clone into ``custom_nodes/NAME``."""
    folder = comfyui / "custom_nodes" / name
    git("clone", "--quiet", origin.as_uri(), folder, cwd=comfyui)
    return folder


def install_requirements(comfyui: Path) -> None:
    """What a user's ComfyUI-Manager or ``pip install -r`` does."""
    python = comfyui / ".venv" / "bin" / "python"
    run([find_uv(), "pip", "install", "--quiet", "--python", python, "-r", ROOT / "requirements.txt"])
