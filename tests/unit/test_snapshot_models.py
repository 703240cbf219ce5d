"""Models: what a graph uses, found in the models folders; where they can be had again; what stands against it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import ApiGraph, Model
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import model_choices
from comfy_capsule.packager.snapshot.models.folders import ModelFolder, Trees, model_folders
from comfy_capsule.packager.snapshot.models.models import Models, find_models, read_models
from model_cases import CASES, Case, Json, graph_of, install_of


def test_there_are_fifty() -> None:
    assert len(CASES) >= 50
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_graph_uses(case: Case, tmp_path: Path) -> None:
    install = install_of(tmp_path, case.files)
    found, absent = find_models(model_folders(install), *graph_of(case))
    assert sorted(f"{item.folder}:{item.name}" for item in found) == sorted(case.uses)
    assert sorted(f"{item.code}:{item.name}" for item in absent) == sorted(case.lacks)
    assert all(item.path.is_file() for item in found)


LOADER = {"Loader": {"input": {"required": {"lora_name": [["a.safetensors"], {}]}}}}


@pytest.fixture
def install(tmp_path: Path) -> Install:
    return install_of(tmp_path / "ComfyUI", ["loras/a.safetensors"])


def read(install: Install, tmp_path: Path, *names: str, info: Json = LOADER) -> Models:
    graph: ApiGraph = {
        str(number): {"class_type": "Loader", "inputs": {"lora_name": name}} for number, name in enumerate(names)
    }
    return read_models(install, graph, {}, info, silent, cache=Cache(tmp_path / "answers"))


def codes(read: Models) -> dict[str, str]:
    """Subject → code, of findings about the file itself."""
    assert all(item.cure for item in read.findings)
    return {item.subject: item.code for item in read.findings if not item.code.startswith("model-without")}


def test_size_and_digest_are_of_the_content(install: Install, tmp_path: Path) -> None:
    for name, content in (("b.pth", b"b"), ("sub/b.pth", b"bb")):
        (install.root / "models/loras" / name).parent.mkdir(exist_ok=True)
        (install.root / "models/loras" / name).write_bytes(content)
    found = read(install, tmp_path, "sub\\b.pth", "b.pth", "b.pth")
    assert [(model.folder, model.name, model.size) for model in found.models] == [
        ("loras", "b.pth", 1),
        ("loras", "sub/b.pth", 2),
    ]
    assert found.models[1].sha256 == hashlib.sha256(b"bb").hexdigest()
    assert codes(found) == {"b.pth": "pickle-model", "sub/b.pth": "pickle-model"}


def test_a_missing_model_is_said_with_its_folder(install: Install, tmp_path: Path) -> None:
    (found,) = read(install, tmp_path, "gone.safetensors").findings
    assert (found.code, found.blocks) == ("model-missing", True)
    assert "not in models folder loras" in found.message
    nothing = {"Loader": {"input": {"required": {"lora_name": [[], {}]}}}}
    (found,) = read(install, tmp_path, "gone.safetensors", info=nothing).findings
    assert "not in models folder loras" in found.message
    offered = {"Loader": {"input": {"required": {"lora_name": [["gone.safetensors", "other.onnx"], {}]}}}}
    (found,) = read(install, tmp_path, "gone.safetensors", info=offered).findings
    assert "may download it" in found.message


def test_what_is_no_file_is_said_and_not_waited_for(install: Install, tmp_path: Path) -> None:
    loras = install.root / "models/loras"
    os.mkfifo(loras / "pipe.safetensors")
    (loras / "circle.safetensors").symlink_to("circle.safetensors")
    (loras / "dead.safetensors").symlink_to("/nowhere")
    (loras / "round").symlink_to(loras)
    (loras / "round-too").symlink_to(loras)
    (loras / "line\nbreak.safetensors").touch()
    Path(os.fsdecode(os.fsencode(loras) + b"/no-utf8-\xff.safetensors")).touch()
    odd = ("pipe.safetensors", "circle.safetensors", "dead.safetensors")
    strange = ("nul\0.safetensors", "half\ud800.safetensors", "no-utf8-\udcff.safetensors", "//a.safetensors")
    found = read(install, tmp_path, *odd, "round/a.safetensors", "line\nbreak.safetensors", *strange)
    assert [model.name for model in found.models] == ["round/a.safetensors"]
    assert codes(found) == {
        **dict.fromkeys(odd, "model-unreadable"),
        "line\nbreak.safetensors": "model-name",
        "nul\0.safetensors": "model-missing",
        "half\\ud800.safetensors": "model-missing",
        "no-utf8-\\udcff.safetensors": "model-name",
        "//a.safetensors": "model-missing",
    }


def test_a_maze_of_links_is_left_soon(tmp_path: Path) -> None:
    install = install_of(tmp_path, ())
    folders = [install.root / f"models/loras/{number}" for number in range(12)]
    for folder in folders:
        folder.mkdir()
        (folder / "m.pt").touch()
    for folder in folders:
        for other in folders:
            (folder / other.name).symlink_to(other)
    loras = next(folder for folder in model_folders(install) if folder.name == "loras")
    assert 12 <= len(loras.files) <= 48


def test_a_models_folder_of_links_is_followed(install: Install, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "big.safetensors").write_bytes(b"big")
    (install.root / "models/loras/disk").symlink_to(elsewhere)
    (install.root / "models/loras/alias.safetensors").symlink_to(elsewhere / "big.safetensors")
    found = read(install, tmp_path, "disk/big.safetensors", "alias.safetensors")
    assert [(model.name, model.size) for model in found.models] == [
        ("alias.safetensors", 3),
        ("disk/big.safetensors", 3),
    ]


def test_of_several_places_the_first_counts(install: Install, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a.safetensors").write_bytes(b"shared")
    (shared / "b.safetensors").write_bytes(b"shared")
    roots = (install.root / "models/loras", shared)
    here = install.model_copy(update={"model_folders": {**install.model_folders, "loras": roots}})
    found = read(here, tmp_path, "a.safetensors", "b.safetensors")
    assert [(model.folder, model.name, model.size) for model in found.models] == [
        ("loras", "a.safetensors", 0),
        ("loras", "b.safetensors", 6),
    ]


def test_a_path_of_this_machine_is_said(install: Install, tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").touch()
    info = {"Loader": {"input": {"required": {"lora_name": ["STRING", {}]}}}}
    inside, outside = str(install.root / "models/loras/a.safetensors"), str(tmp_path / "own.safetensors")
    found = read(install, tmp_path, inside, outside, info=info)
    assert [model.name for model in found.models] == ["a.safetensors"]
    assert codes(found) == {inside: "model-by-path", outside: "model-by-path"}


def test_what_comfyuis_own_checkout_brings_is_not_recorded(install: Install, tmp_path: Path) -> None:
    for words in (["init", "-q"], ["add", "models/loras/a.safetensors"]):
        subprocess.run(["git", *words], cwd=install.root, check=True)
    (install.root / "models/loras/own.safetensors").touch()
    found = read(install, tmp_path, "a.safetensors", "own.safetensors")
    assert [model.name for model in found.models] == ["own.safetensors"]


def test_an_other_file_system_may_spell_the_name_otherwise(tmp_path: Path) -> None:
    """Where the file system takes another spelling for the same file, so do we: it is asked, not guessed."""
    install = install_of(tmp_path, ["loras/A.safetensors"])
    (install.root / "models/loras/a.SAFETENSORS").symlink_to("A.safetensors")
    folder = ModelFolder("loras", "loras", install.model_folders["loras"], (), Trees())
    del folder.files["a.SAFETENSORS"]  # as on a disk that keeps one spelling and answers to all
    assert folder.find("a.SAFETENSORS") == install.root / "models/loras/a.SAFETENSORS"
    assert folder.find("b.safetensors") is None


def test_a_choice_is_limited_to_what_the_snapshot_holds() -> None:
    def model(folder: str, name: str) -> Model:
        return Model(folder=folder, name=name, size=0, sha256="")

    held = [model("loras", "a.pt"), model("loras", "b.pt"), model("vae", "a.pt"), model("LLM", "one/model.bin")]
    info = {
        "L": {"input": {"required": {"lora": [["a.pt", "b.pt", "c.pt"]], "vae": [["a.pt", "d.pt"]]}}},
        "F": {"input": {"required": {"folder": [["one", "two"]], "other": [["one.bin"]]}}},
    }
    graph: ApiGraph = {
        "1": {"class_type": "L", "inputs": {"lora": "a.pt", "vae": "a.pt"}},
        "2": {"class_type": "F", "inputs": {"folder": "one", "other": "one.bin"}},
    }
    found = model_choices(graph, info, held)
    assert found == {("1", "lora"): ("a.pt", "b.pt"), ("1", "vae"): ("a.pt",), ("2", "folder"): ("one",)}
