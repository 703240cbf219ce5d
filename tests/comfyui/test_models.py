"""Models and inputs asked of a real ComfyUI: its own loaders, and a pack's that have folders of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import fresh_install
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.comfy import Booted, Install, boot, find_install
from comfy_capsule.packager.materialise import ModelStore, place_models
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore.compare import model_rows
from comfy_capsule.packager.snapshot.inputs import read_inputs
from comfy_capsule.packager.snapshot.models.models import read_models

# As the packs for GGUF, for face detectors, for language models and for lists of LoRAs do it.
PACK = """
import os
import folder_paths

TYPES = folder_paths.folder_names_and_paths
TYPES["unet_gguf"] = (folder_paths.get_folder_paths("diffusion_models"), {".gguf"})
TYPES["faces_bbox"] = ([os.path.join(folder_paths.models_dir, "faces", "bbox")], folder_paths.supported_pt_extensions)
LANGUAGE = os.path.join(folder_paths.models_dir, "LLM")


def node(inputs):
    return type("Node", (), {"INPUT_TYPES": classmethod(lambda cls: {"required": inputs()}), "RETURN_TYPES": (),
                             "FUNCTION": "run", "CATEGORY": "test", "run": lambda self, **_: ()})


NODE_CLASS_MAPPINGS = {
    "OwnGGUF": node(lambda: {"unet_name": (folder_paths.get_filename_list("unet_gguf"),)}),
    "OwnFaces": node(lambda: {"model_name": (folder_paths.get_filename_list("faces_bbox"),)}),
    "OwnLanguage": node(lambda: {"model": (sorted(os.listdir(LANGUAGE)),)}),
    "OwnPower": node(dict),
}
"""

MODELS = {
    "checkpoints/sd/one.safetensors",
    "diffusers/pipe/model_index.json",
    "diffusers/pipe/unet/weights.safetensors",
    "diffusion_models/q4.gguf",
    "embeddings/sub/neg.pt",
    "faces/bbox/face.pt",
    "LLM/florence/config.json",
    "LLM/florence/model.safetensors",
    "loras/style.safetensors",
    "loras/under/other.safetensors",
    "text_encoders/clip_l.safetensors",
    "vae_approx/taesd_decoder.pth",
    "vae_approx/taesd_encoder.pth",
}
ASIDE = ("clip_vision/face.pt", "loras/one.safetensors", "LLM/unused/model.bin", "faces/segm/face.pt", "vae/own.pt")
INPUTS = ("sub/photo.png", "bell.wav", "3d/cube.glb")

GRAPH: dict[str, dict[str, Any]] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/one.safetensors"}},
    "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "style.safetensors", "model": ["1", 0]}},
    "3": {"class_type": "VAELoader", "inputs": {"vae_name": "taesd"}},
    "4": {"class_type": "DiffusersLoader", "inputs": {"model_path": "pipe"}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, (embedding:neg:1.1)", "clip": ["1", 1]}},
    "6": {"class_type": "CLIPLoader", "inputs": {"clip_name": "clip_l.safetensors", "type": "sd3"}},
    "7": {"class_type": "OwnGGUF", "inputs": {"unet_name": "q4.gguf"}},
    "8": {"class_type": "OwnFaces", "inputs": {"model_name": "face.pt"}},
    "9": {"class_type": "OwnLanguage", "inputs": {"model": "florence"}},
    "10": {"class_type": "OwnPower", "inputs": {"lora_1": {"on": True, "lora": "under\\other.safetensors"}}},
    "11": {"class_type": "CheckpointLoader", "inputs": {"config_name": "v1-inference.yaml", "ckpt_name": "gone.ckpt"}},
    "12": {"class_type": "LoadImage", "inputs": {"image": "sub/photo.png [input]"}},
    "13": {"class_type": "LoadAudio", "inputs": {"audio": "bell.wav"}},
    "14": {"class_type": "Load3D", "inputs": {"model_file": "3d/cube.glb", "image": {"image": "shot.png [temp]"}}},
    "15": {"class_type": "KSampler", "inputs": {"sampler_name": "euler", "scheduler": "normal", "model": ["2", 0]}},
}


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    folder = fresh_install(tmp_path_factory.mktemp("models") / "ComfyUI")
    pack = folder / "custom_nodes/own/__init__.py"
    for path in (
        pack,
        *(folder / "models" / name for name in (*MODELS, *ASIDE)),
        *(folder / "input" / n for n in INPUTS),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    pack.write_text(PACK)
    return find_install(folder)


@pytest.fixture(scope="module")
def booted(install: Install) -> Booted:
    return boot(install, silent)


def test_the_folders_that_a_pack_adds_are_known(install: Install, booted: Booted) -> None:
    added = {kind: roots for kind, roots in booted.install.model_folders.items() if kind not in install.model_folders}
    models = install.root / "models"
    assert added == {
        "unet_gguf": (models / "unet", models / "diffusion_models"),
        "faces_bbox": (models / "faces/bbox",),
    }
    assert booted.install.model_extensions["unet_gguf"] == (".gguf",)
    assert booted.install.model_folders["checkpoints"] == install.model_folders["checkpoints"]


def test_what_a_graph_uses_is_found_and_comes_back(install: Install, booted: Booted, tmp_path: Path) -> None:
    read = read_models(booted.install, GRAPH, {}, booted.object_info, silent, cache=Cache(tmp_path / "answers"))
    assert {f"{model.folder}/{model.name}" for model in read.models} == MODELS
    lacking = {(item.code, item.subject) for item in read.findings if item.blocks}
    assert lacking == {("model-missing", "gone.ckpt")}
    again = fresh_install(tmp_path / "ComfyUI")
    store = ModelStore(tmp_path / "store")
    place_models(read.models, again, silent, models_from=[install.root / "models"], store=store)
    rows = list(model_rows(read.models, find_install(again).model_folders, silent))
    assert len(rows) == len(MODELS)
    assert [row for row in rows if not row.equal] == []


def test_what_it_reads_is_carried(booted: Booted) -> None:
    read = read_inputs(booted.install, GRAPH, booted.object_info)
    assert [item.name for item in read.files] == sorted(INPUTS)
    assert [item.code for item in read.findings] == ["input-of-another-run"]
