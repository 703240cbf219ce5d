"""The bench itself: what it builds is a real ComfyUI that loads its packs and models and runs its workflows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench import (
    PLAIN,
    UPSCALE,
    VERSION,
    Commit,
    RunningComfy,
    Workflow,
    bench_packs,
    build_bench_pack,
    build_pack,
    clone_pack,
    fresh_install,
    make_own,
    pixels,
    running,
    write_esrgan,
)
from bench.git import git
from comfy_capsule.packager.comfy import ComfyClient, boot_object_info, find_install
from comfy_capsule.packager.errors import Cancelled
from comfy_capsule.packager.progress import Progress

# The same on every machine, for the content, the author and the date are.
COMFYUI_COMMIT = "164d43c"
CLASS_OF_PACK = {
    "BenchTint": "custom_nodes.bench-tint",
    "BenchDescribe": "custom_nodes.bench-text",
    "BenchShowText": "custom_nodes.bench-text",
    "BenchNoise": "custom_nodes.bench-v3",
    "BenchColour": "custom_nodes.bench-palette",
    "BenchFlip": "custom_nodes.bench-flip",
}


def test_the_install_is_a_clean_checkout(comfyui: Path):
    assert git("status", "--porcelain", cwd=comfyui) == ""
    assert git("describe", "--tags", cwd=comfyui) == f"v{VERSION}"
    assert git("rev-parse", "HEAD", cwd=comfyui).startswith(COMFYUI_COMMIT)
    origin = git("remote", "get-url", "origin", cwd=comfyui)
    assert git("ls-remote", origin, "HEAD", cwd=comfyui).split()[0] == git("rev-parse", "HEAD", cwd=comfyui)


def test_install_on_disk_is_read(comfyui: Path):
    install = find_install(comfyui)
    assert (install.version, install.python) == (VERSION, comfyui / ".venv" / "bin" / "python")
    assert install.custom_nodes == (comfyui / "custom_nodes",)
    assert install.model_folders["upscale_models"] == (comfyui / "models" / "upscale_models",)
    assert ".safetensors" in install.model_extensions["upscale_models"]
    assert install.output_dir / "checkpoints" in install.model_folders["checkpoints"]
    assert (install.site_packages[0] / "torch").is_dir()


def test_extra_model_paths_are_honoured(tmp_path: Path):
    folder = fresh_install(tmp_path / "ComfyUI")
    (folder / "extra_model_paths.yaml").write_text(
        "shared:\n  base_path: ../shared\n  upscale_models: esrgan\n  custom_nodes: packs\n"
    )
    install = find_install(folder)
    assert install.custom_nodes == (folder / "custom_nodes", tmp_path / "shared" / "packs")
    assert install.model_folders["upscale_models"][-1] == tmp_path / "shared" / "esrgan"
    assert install.extra_model_paths == (folder / "extra_model_paths.yaml",)


def test_reading_an_install_leaves_nothing_behind(tmp_path: Path):
    folder = fresh_install(tmp_path / "ComfyUI")
    for part in ("input", "comfy/__pycache__"):
        git("clean", "-qfdx", part, cwd=folder)
    (folder / "input" / "example.png").unlink()
    (folder / "input").rmdir()
    before = sorted(path for path in folder.rglob("*") if ".venv" not in path.parts)
    find_install(folder)
    assert sorted(path for path in folder.rglob("*") if ".venv" not in path.parts) == before


async def test_every_pack_gives_its_classes(comfy: RunningComfy):
    async with ComfyClient(comfy.base_url) as client:
        classes = await client.object_info()
    assert {name: classes[name]["python_module"] for name in CLASS_OF_PACK} == CLASS_OF_PACK


@pytest.mark.parametrize("workflow", [UPSCALE, PLAIN], ids=lambda workflow: workflow.name)
async def test_the_two_forms_of_a_workflow_agree(comfy: RunningComfy, workflow: Workflow):
    async with ComfyClient(comfy.base_url) as client:
        classes = await client.object_info()
    for node in workflow.ui["nodes"]:
        exported = workflow.api[str(node["id"])]
        assert exported["class_type"] == node["type"]
        assert [output["name"] for output in node["outputs"]] == classes[node["type"]]["output_name"]
        widgets = [slot["name"] for slot in node["inputs"] if "widget" in slot]
        for name, value in zip(widgets, node["widgets_values"], strict=True):
            if name != "upload":  # a button: the front-end does not export it
                assert exported["inputs"][name] == value
        marks = node["properties"].get("capsule", {}).get("inputs", {})
        assert marks.keys() <= set(widgets)


def test_the_workflow_enlarges_and_tints_the_picture(comfy: RunningComfy):
    (image,) = comfy.generate(UPSCALE.api)["5"]["images"]
    mode, size, _ = pixels(image["bytes"])
    assert (mode, size) == ("RGB", (192, 128))


def test_the_same_parameters_give_the_same_pixels(comfy: RunningComfy, comfyui: Path):
    def run(running_comfy: RunningComfy, strength: float) -> tuple[str, tuple[int, int], bytes]:
        graph = UPSCALE.api
        graph["4"]["inputs"]["strength"] = strength
        graph["2"]["inputs"]["model_name"] = "bench-x4.safetensors"
        (image,) = running_comfy.generate(graph)["5"]["images"]
        return pixels(image["bytes"])

    first, other = run(comfy, 0.25), run(comfy, 0.75)
    assert first != other
    assert first[1] == (384, 256)
    # In a process of its own, on one core: neither the cache nor the order of sums has a part in it.
    with running(comfyui, env={"OMP_NUM_THREADS": "1"}) as single:
        assert run(single, 0.25) == first


def test_text_is_an_output_too(comfy: RunningComfy):
    graph = {
        "1": {"class_type": "BenchColour", "inputs": {"colour": "teal", "width": 40, "height": 30}},
        "2": {"class_type": "BenchNoise", "inputs": {"image": ["1", 0], "amount": 0.3, "seed": 7, "kind": "grain"}},
        "3": {"class_type": "BenchFlip", "inputs": {"image": ["2", 0], "horizontal": True}},
        "4": {"class_type": "BenchDescribe", "inputs": {"image": ["3", 0], "template": "{width}x{height}"}},
        "5": {"class_type": "BenchShowText", "inputs": {"text": ["4", 0]}},
    }
    assert comfy.generate(graph)["5"]["text"] == ["40x30"]


def test_a_copy_is_private(tmp_path: Path, comfyui: Path):
    copy = fresh_install(tmp_path / "ComfyUI")
    library = Path(".venv", "lib")
    (module,) = (copy / library).glob("python*/site-packages/webcolors/__init__.py")
    pristine = comfyui / module.relative_to(copy)
    assert module.stat().st_ino == pristine.stat().st_ino
    make_own(module)
    module.write_text("broken = True\n")
    assert "broken" not in pristine.read_text()


def test_a_private_pack_is_loaded_without_touching_the_users_folders(tmp_path: Path):
    folder = fresh_install(tmp_path / "ComfyUI")
    source = "class Extra:\n    FUNCTION = 'go'\n    RETURN_TYPES = ()\n    INPUT_TYPES = staticmethod(dict)\n"
    pack = build_pack(
        tmp_path / "origins",
        "extra",
        Commit("Empty", {"__init__.py": ""}),
        Commit("A node", {"__init__.py": source + "NODE_CLASS_MAPPINGS = {'Extra': Extra}\n"}),
    )
    clone_pack(pack, folder / "custom_nodes")
    kept = [folder / name for name in ("input", "output", "temp", "user")]
    before = {part: sorted(part.rglob("*")) for part in kept}
    lines = []
    classes = boot_object_info(find_install(folder), lambda event: lines.append(event.item))
    assert classes["Extra"]["python_module"] == "custom_nodes.extra"
    assert len(set(lines)) > 1

    def cancel(event: Progress) -> None:
        if event.item:
            raise Cancelled

    begun = time.monotonic()
    with pytest.raises(Cancelled):
        boot_object_info(find_install(folder), cancel)
    assert time.monotonic() - begun < 10, "not only when it is ready"
    assert {part: sorted(part.rglob("*")) for part in kept} == before


def test_packs_and_models_are_the_same_bytes_everywhere(tmp_path: Path):
    first = build_bench_pack(tmp_path / "one", "bench-tint")
    again = build_bench_pack(tmp_path / "two", "bench-tint")
    assert first.commits == again.commits
    models = [write_esrgan(tmp_path / name, scale=4, seed=3).read_bytes() for name in ("a", "b")]
    assert models[0] == models[1]
    assert models[0] != write_esrgan(tmp_path / "c", scale=4, seed=4).read_bytes()
    assert len(bench_packs()) == 5


def test_marks_are_what_the_contract_reads():
    marks = {
        node["type"]: node["properties"]["capsule"] for node in UPSCALE.ui["nodes"] if "capsule" in node["properties"]
    }
    assert marks["LoadImage"]["inputs"]["image"]["name"] == "picture"
    assert {mark["name"] for mark in marks["BenchTint"]["inputs"].values()} == {"strength", "levels"}
    assert marks["SaveImage"]["output"] == {"name": "image"}
