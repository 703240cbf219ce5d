"""Recognising a ComfyUI folder and its Python, and reading it with a probe that changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from comfy_capsule.packager.comfy import find_install, is_comfyui, live_address, live_install, live_object_info
from comfy_capsule.packager.comfy.device import _torch_has_gpu_support
from comfy_capsule.packager.errors import BadInput, CapsuleError

FOLDER_PATHS = """
import os
from comfy.cli_args import args
base = os.path.dirname(os.path.realpath(__file__))
folder_names_and_paths = {
    "custom_nodes": ([os.path.join(base, "custom_nodes")], set()),
    "loras": ([os.path.join(base, "models", "loras")], {".safetensors", ".pt"}),
}
places = {name: os.path.join(base, name) for name in ("input", "output", "temp", "user")}
os.makedirs(places["input"])
print("something that is no answer")
def add_model_folder_path(kind, path):
    folder_names_and_paths.setdefault(kind, ([], set()))[0].append(path)
def get_input_directory(): return places["input"]
def get_output_directory(): return places["output"]
def get_temp_directory(): return places["temp"]
def get_user_directory(): return places["user"]
def set_output_directory(path): places["output"] = path
"""
CLI_ARGS = """
import argparse, sys
parser = argparse.ArgumentParser()
for name in ("output", "input", "user", "temp"):
    parser.add_argument(f"--{name}-directory")
args = parser.parse_args()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The least that looks like a ComfyUI and can be probed by any Python."""
    root = tmp_path / "ComfyUI"
    (root / "comfy").mkdir(parents=True)
    for name in ("main.py", "nodes.py"):
        (root / name).write_text("")
    (root / "folder_paths.py").write_text(FOLDER_PATHS)
    (root / "comfyui_version.py").write_text('__version__ = "0.30.0"\n')
    (root / "comfy" / "options.py").write_text("def enable_args_parsing(): pass\n")
    (root / "comfy" / "cli_args.py").write_text(CLI_ARGS)
    return root


def test_a_folder_that_is_no_comfyui_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match=r"is not a ComfyUI: it has no main\.py") as caught:
        find_install(tmp_path)
    assert caught.value.code == "no-comfyui"
    with pytest.raises(BadInput, match="There is no folder"):
        find_install(tmp_path / "nowhere")


def test_the_folder_above_is_told_where_to_look(folder: Path):
    with pytest.raises(BadInput) as caught:
        find_install(folder.parent)
    assert str(folder) in caught.value.cure
    assert is_comfyui(folder)


def test_without_a_python_the_option_is_named(folder: Path):
    with pytest.raises(BadInput, match="--python") as caught:
        find_install(folder)
    assert caught.value.code == "no-python"
    with pytest.raises(BadInput, match="There is no Python at"):
        find_install(folder, folder / "bin" / "python")


def test_its_own_environment_is_found_and_not_resolved(folder: Path):
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_install(folder).python == python


def test_what_the_probe_tells(folder: Path):
    install = find_install(folder, Path(sys.executable))
    assert install.root == folder
    assert install.version == "0.30.0"
    assert install.python_version == sys.version.split()[0]
    assert install.custom_nodes == (folder / "custom_nodes",)
    assert install.model_folders["loras"] == (folder / "models" / "loras", folder / "output" / "loras")
    assert install.model_extensions["loras"] == (".pt", ".safetensors")
    assert install.input_dir == folder / "input"
    assert not install.input_dir.exists()
    assert not list(folder.rglob("__pycache__"))


def test_launch_arguments_move_folders(folder: Path, tmp_path: Path):
    arguments = ("--output-directory", str(tmp_path / "out"))
    install = find_install(folder, Path(sys.executable), arguments)
    assert install.output_dir == tmp_path / "out"
    assert install.arguments == arguments


def test_one_that_cannot_be_imported_says_why(folder: Path):
    (folder / "folder_paths.py").write_text("import no_such_module_at_all\n")
    with pytest.raises(BadInput, match="No module named 'no_such_module_at_all'") as caught:
        find_install(folder, Path(sys.executable))
    assert caught.value.code == "comfyui-unreadable"


def test_torch_without_gpu_support_is_seen(folder: Path, tmp_path: Path):
    install = find_install(folder, Path(sys.executable)).model_copy(update={"site_packages": (tmp_path,)})
    assert _torch_has_gpu_support(install)  # none to be seen: not ours to decide
    version = tmp_path / "torch" / "version.py"
    version.parent.mkdir()
    version.write_text("cuda: Optional[str] = None\nhip: Optional[str] = None\n")
    assert not _torch_has_gpu_support(install)
    version.write_text("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    assert _torch_has_gpu_support(install)


def test_outside_comfyui_there_is_no_live_install():
    for ask in (live_install, live_address, live_object_info):
        with pytest.raises(CapsuleError) as caught:
            ask()
        assert caught.value.code == "not-in-comfyui"
