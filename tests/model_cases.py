"""Fifty graphs whose models were written down by hand: what stands in the models folders, what the nodes offer, what
the graph says, and what it therefore uses. For the unit tests and the figures `models-precision`, `models-recall`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from bench.installs import install_at
from comfy_capsule.packager.comfy import Install

Json = dict[str, Any]
_PT = (".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft")
#: Folder types with their places below the models folder and what they list: ComfyUI's own, then those of packs.
TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **{name: ((name,), _PT) for name in ("checkpoints", "loras", "vae", "clip_vision", "embeddings", "upscale_models")},
    **{name: ((name,), _PT) for name in ("vae_approx", "style_models", "latent_upscale_models", "model_patches")},
    "text_encoders": (("text_encoders", "clip"), _PT),
    "diffusion_models": (("unet", "diffusion_models"), _PT),
    "controlnet": (("controlnet", "t2i_adapter"), _PT),
    "diffusers": (("diffusers",), ("folder",)),
    "classifiers": (("classifiers",), ("",)),
    "unet_gguf": (("unet", "diffusion_models"), (".gguf",)),
    "clip_gguf": (("text_encoders", "clip"), (".gguf",)),
    "ultralytics_bbox": (("ultralytics/bbox",), _PT),
    "ipadapter": (("ipadapter",), _PT),
    "onnx": (("onnx",), (".onnx",)),
    "insightface": (("insightface",), ()),
}


class Case(NamedTuple):
    """One graph.

    Attributes:
        files: what lies in the models folder.
        offers: for each input ``Class.input``: a folder type or several (``"vae+vae_approx"``) whose files it lists,
            a list of its own, or None for a text.
        inputs: what the graph says, by the same names; ``Class.input#2`` is a second node.
        uses: the models, as ``folder:name``.
        lacks: the models that are not there, as ``code:name``.
    """

    name: str
    files: tuple[str, ...]
    offers: dict[str, Any]
    inputs: dict[str, Any]
    uses: tuple[str, ...]
    lacks: tuple[str, ...] = ()


def install_of(root: Path, files: Iterable[str]) -> Install:
    """An install at `root` with empty `files` in its models folder."""
    models = root / "models"
    for name in ("input", *(f"models/{place}" for places, _ in TYPES.values() for place in places)):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in files:
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return install_at(
        root,
        custom_nodes=(),
        model_folders={kind: tuple(models / place for place in places) for kind, (places, _) in TYPES.items()},
        model_extensions={kind: endings for kind, (_, endings) in TYPES.items()},
    )


def graph_of(case: Case) -> tuple[Json, Json]:
    """The API graph and the node definitions of `case`; lists hold what ComfyUI's ``get_filename_list`` would."""
    info: Json = {}
    for place, offer in case.offers.items():
        class_type, name = place.split(".", 1)
        required = info.setdefault(class_type, {"input": {"required": {}}})["input"]["required"]
        if offer is None:
            required[name] = ["STRING", {"multiline": True}]
        else:
            kinds = offer.split("+") if isinstance(offer, str) else ()
            required[name] = [[name for kind in kinds for name in _listed(kind, case.files)] if kinds else offer, {}]
    api: Json = {}
    for place, value in case.inputs.items():
        class_type, name = place.split("#")[0].split(".", 1)
        node = f"{class_type}{place.partition('#')[2]}"
        api.setdefault(node, {"class_type": class_type, "inputs": {}})["inputs"][name] = value
    return api, info


def _listed(kind: str, files: Iterable[str]) -> list[str]:
    places, endings = TYPES[kind]
    inside = {name.removeprefix(f"{place}/") for place in places for name in files if name.startswith(f"{place}/")}
    return sorted(name for name in inside if not endings or Path(name).suffix.lower() in endings)


def _loader(kind: str, name: str, value: str) -> tuple[Json, Json]:
    return {f"Loader.{name}": kind}, {f"Loader.{name}": value}


_NFC, _NFD = "caf\u00e9.safetensors", "cafe\u0301.safetensors"
_SD15 = ("model_index.json", "unet/model.safetensors", "vae/model.safetensors", "tokenizer/vocab.json")
_POWER = {"on": True, "lora": "b.safetensors", "strength": 1, "strengthTwo": None}

CASES = (
    # lists of one folder type
    Case("one checkpoint", ("checkpoints/a.safetensors",), *_loader("checkpoints", "ckpt_name", "a.safetensors"),
         ("checkpoints:a.safetensors",)),
    Case("same name in two folders, told by the list", ("checkpoints/a.pt", "checkpoints/c.pt", "loras/a.pt"),
         *_loader("loras", "file", "a.pt"), ("loras:a.pt",)),
    Case("same name, both folders with that one file", ("checkpoints/a.pt", "loras/a.pt"),
         *_loader("loras", "lora_name", "a.pt"), ("loras:a.pt",)),
    Case("same name in five folders", tuple(f"{f}/m.pt" for f in ("checkpoints", "loras", "vae", "controlnet", "clip")),
         *_loader("vae", "vae_name", "m.pt"), ("vae:m.pt",)),
    Case("same name, lists not up to date", ("vae/ae.safetensors", "checkpoints/ae.safetensors", "vae/b.safetensors"),
         {"VAELoader.vae_name": []}, {"VAELoader.vae_name": "ae.safetensors"}, ("vae:ae.safetensors",)),
    Case("a subfolder", ("loras/sd/style/a.safetensors",), *_loader("loras", "n", "sd/style/a.safetensors"),
         ("loras:sd/style/a.safetensors",)),
    Case("a subfolder as Windows writes it", ("loras/sd/a.safetensors",), *_loader("loras", "n", "sd\\a.safetensors"),
         ("loras:sd/a.safetensors",)),
    Case("Windows on both sides", ("loras/sd/a.safetensors",), {"L.n": ["sd\\a.safetensors"]},
         {"L.n": "sd\\a.safetensors"}, ("loras:sd/a.safetensors",)),
    Case("a name in Unicode", (f"vae/{_NFC}",), *_loader("vae", "n", _NFC), (f"vae:{_NFC}",)),
    Case("Unicode, decomposed on the disk", (f"vae/{_NFD}",), *_loader("vae", "n", _NFC), (f"vae:{_NFC}",)),
    Case("Unicode, decomposed in the graph", (f"vae/{_NFC}",), *_loader("vae", "n", _NFD), (f"vae:{_NFD}",)),
    Case("another case is another file here", ("vae/A.pt", "vae/b.pt"), *_loader("vae", "n", "a.pt"), (),
         ("model-missing:a.pt",)),
    Case("spaces, dots, brackets", ("loras/my lora v1.5 [x] (2).safetensors",),
         *_loader("loras", "n", "my lora v1.5 [x] (2).safetensors"), ("loras:my lora v1.5 [x] (2).safetensors",)),
    Case("the second place of a type", ("clip/t5.safetensors", "text_encoders/l.safetensors"),
         *_loader("text_encoders", "clip_name", "t5.safetensors"), ("text_encoders:t5.safetensors",)),
    Case("one name in both places of a type", ("unet/f.pt", "diffusion_models/f.pt"),
         *_loader("diffusion_models", "unet_name", "f.pt"), ("diffusion_models:f.pt",)),
    Case("None is no model", ("loras/a.pt",), {"L.n": ["None", "a.pt"]}, {"L.n": "None"}, ()),
    Case("[None] and an empty name are none", ("loras/a.pt",), {"L.n": ["[None]", "a.pt"], "L.m": ["a.pt"]},
         {"L.n": "[None]", "L.m": ""}, ()),
    Case("a sampler is no model", ("classifiers/euler", "loras/a.pt"), {"K.sampler": ["euler", "ddim", "uni_pc"]},
         {"K.sampler": "euler"}, ()),
    Case("a model without an ending", ("classifiers/yolo", "classifiers/net"), *_loader("classifiers", "n", "yolo"),
         ("classifiers:yolo",)),
    Case("a list of two types", ("vae/a.pt", "vae_approx/taehv.pt"), {"V.n": "vae+vae_approx"}, {"V.n": "taehv.pt"},
         ("vae_approx:taehv.pt",)),
    Case("an option that stands for two files", ("vae/a.pt", "vae_approx/taesd_encoder.pt",
         "vae_approx/taesd_decoder.pt"),
         {"V.n": ["a.pt", "taesd", "pixel_space"]}, {"V.n": "taesd"},
         ("vae_approx:taesd_encoder.pt", "vae_approx:taesd_decoder.pt")),
    Case("not in the folder that the node lists", ("checkpoints/x.pt", "loras/a.pt", "loras/b.pt"),
         *_loader("loras", "n", "x.pt"), (), ("model-missing:x.pt",)),
    Case("not there at all", ("loras/a.pt",), *_loader("loras", "n", "gone.safetensors"), (),
         ("model-missing:gone.safetensors",)),
    Case("out of the folder", ("loras/a.pt", "vae/b.pt"), *_loader("loras", "n", "../vae/b.pt"), (),
         ("model-missing:../vae/b.pt",)),
    # packs' loaders
    Case("GGUF by a type of its own", ("unet/q.gguf", "unet/f.safetensors"), *_loader("unet_gguf", "unet_name",
         "q.gguf"),
         ("diffusion_models:q.gguf",)),
    Case("GGUF listed with the others", ("clip/t5-Q8.gguf", "text_encoders/l.safetensors"),
         *_loader("text_encoders+clip_gguf", "clip_name", "t5-Q8.gguf"), ("text_encoders:t5-Q8.gguf",)),
    Case("safetensors in a list with GGUF", ("clip/t5-Q8.gguf", "text_encoders/l.safetensors"),
         *_loader("text_encoders+clip_gguf", "clip_name", "l.safetensors"), ("text_encoders:l.safetensors",)),
    Case("GGUF of two folders, told by the list", ("unet/a.gguf", "unet/b.gguf", "clip/a.gguf"),
         *_loader("unet_gguf", "n", "a.gguf"), ("diffusion_models:a.gguf",)),
    Case("GGUF in two parts", ("unet/big-00001-of-00002.gguf", "unet/big-00002-of-00002.gguf", "unet/other.gguf"),
         *_loader("unet_gguf", "n", "big-00001-of-00002.gguf"),
         ("diffusion_models:big-00001-of-00002.gguf", "diffusion_models:big-00002-of-00002.gguf")),
    Case("ONNX with its weights outside", ("onnx/pose.onnx", "onnx/pose.onnx_data", "onnx/other.onnx"),
         *_loader("onnx", "n", "pose.onnx"), ("onnx:pose.onnx", "onnx:pose.onnx_data")),
    Case("ONNX of a folder that is no type", ("dwpose/yolox_l.onnx", "dwpose/dw.onnx"),
         {"P.det": ["None", "yolox_l.onnx"]}, {"P.det": "yolox_l.onnx"}, ("dwpose:yolox_l.onnx",)),
    Case("a type placed elsewhere", ("ultralytics/bbox/face.pt",), *_loader("ultralytics_bbox", "n", "face.pt"),
         ("ultralytics/bbox:face.pt",)),
    Case("names with the type's folder in front", ("ultralytics/bbox/face.pt", "ultralytics/segm/body.pt"),
         {"U.model_name": ["bbox/face.pt", "segm/body.pt"]}, {"U.model_name": "bbox/face.pt"},
         ("ultralytics:bbox/face.pt",)),
    Case("a name that a pack downloads later", ("loras/a.pt",), {"R.model": ["u2net", "isnet", "silueta"]},
         {"R.model": "u2net"}, ()),
    Case("a file that a pack downloads later", ("loras/a.pt",), {"S.model": ["sam_vit_h.pth", "sam_vit_b.pth"]},
         {"S.model": "sam_vit_b.pth"}, (), ("model-missing:sam_vit_b.pth",)),
    Case("several at once", ("loras/a.pt", "loras/b.pt", "loras/c.pt"), {"M.names": "loras"},
         {"M.names": {"__value__": ["a.pt", "c.pt"]}}, ("loras:a.pt", "loras:c.pt")),
    # folders as models
    Case("a diffusers folder", tuple(f"diffusers/sd15/{name}" for name in _SD15), {"D.model_path": ["sd15"]},
         {"D.model_path": "sd15"}, tuple(f"diffusers:sd15/{name}" for name in _SD15)),
    Case("a folder among folders", ("LLM/florence/model.safetensors", "LLM/florence/config.json", "LLM/qwen/m.bin"),
         {"F.model": ["florence", "qwen"]}, {"F.model": "florence"},
         ("LLM:florence/model.safetensors", "LLM:florence/config.json")),
    Case("a hub's name for a folder", ("LLM/Florence-2-base/model.safetensors", "LLM/Florence-2-base/config.json"),
         {"F.model": ["microsoft/Florence-2-base", "microsoft/Florence-2-large"]},
         {"F.model": "microsoft/Florence-2-base"},
         ("LLM:Florence-2-base/model.safetensors", "LLM:Florence-2-base/config.json")),
    Case("a folder of packs of files", ("insightface/models/buffalo_l/det.onnx",), {"I.name": ["CPU", "CUDA"]},
         {"I.name": "CPU"}, ()),
    # names within texts
    Case("embeddings in a prompt", ("embeddings/easyneg.safetensors", "embeddings/sub/bad.pt", "embeddings/x.pt"),
         {"E.text": None}, {"E.text": "photo, embedding:easyneg, (embedding:bad:1.2) embedding:sub/bad.pt"},
         ("embeddings:easyneg.safetensors", "embeddings:sub/bad.pt")),
    Case("an embedding with brackets and an ending", ("embeddings/a(1).pt", "embeddings/b.bin"), {"E.text": None},
         {"E.text": "(embedding:a\\(1\\).pt:0.9), [embedding:b]"}, ("embeddings:a(1).pt", "embeddings:b.bin")),
    Case("an embedding that is not there", ("embeddings/a.pt",), {"E.text": None}, {"E.text": "embedding:gone, cat"},
         (), ("embedding-missing:gone",)),
    Case("LoRA tags in a prompt", ("loras/a.safetensors", "loras/sub/b.safetensors"), {"E.text": None},
         {"E.text": "cat <lora:a:0.8> <lora:b:1:0.5> <lora:unknown:1>"}, ("loras:a.safetensors",
         "loras:sub/b.safetensors")),
    Case("LoRAs in one widget", ("loras/a.safetensors", "loras/sub/b.safetensors", "loras/c.safetensors"), {},
         {"Power Lora Loader.lora_1": {"on": True, "lora": "sub\\b.safetensors", "strength": 1},
          "Power Lora Loader.lora_2": {"on": False, "lora": "c.safetensors", "strength": 1},
          "Power Lora Loader.lora_3": {"on": True, "lora": "None", "strength": 1}}, ("loras:sub/b.safetensors",)),
    Case("a LoRA in one widget that is not there", ("loras/a.safetensors",), {},
         {"Power Lora Loader.lora_1": _POWER}, (), ("model-missing:b.safetensors",)),
    Case("LoRAs by name in a list", ("loras/sub/style.safetensors", "loras/other.safetensors"), {"M.text": None},
         {"LoraManager.loras": {"__value__": [{"name": "style", "strength": 1, "active": True},
                                              {"name": "other", "strength": 1, "active": False}]}},
         ("loras:sub/style.safetensors",)),
    Case("LoRAs as JSON in a text", ("loras/a.safetensors", "loras/b.safetensors"), {"S.loras": None},
         {"S.loras": '[{"name": "a.safetensors", "weight": 1}, {"name": "none"}]'}, ("loras:a.safetensors",)),
    Case("a prompt within JSON", ("embeddings/neg.pt",), {"S.data": None},
         {"S.data": '{"prompt": "no embedding:neg\\nembedding:gone"}'}, ("embeddings:neg.pt",),
         ("embedding-missing:gone",)),
    Case("one file a line", ("loras/a.safetensors", "loras/b.safetensors", "loras/c.safetensors"),
         {"S.lora_list": None},
         {"S.lora_list": "a.safetensors, 0.8\nb.safetensors, 1.0"}, ("loras:a.safetensors", "loras:b.safetensors")),
    Case("a text that is a file's name", ("upscale_models/4x.pth",), {"U.model_path": None}, {"U.model_path": "4x.pth"},
         ("upscale_models:4x.pth",)),
    Case("an output's name is no model", ("loras/a.pt",), {"Save.filename": None},
         {"Save.filename": "merged.safetensors"}, ()),
    Case("a list that the front-end fetches", ("checkpoints/a.pt", "loras/a.pt"), {"R.lora_name": []},
         {"R.lora_name": "a.pt"}, ("loras:a.pt",)),
)  # fmt: skip
