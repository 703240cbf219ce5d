"""A traced run of a real ComfyUI: what a pack opens beside the lock is recorded, carried, and given back."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import trees
from bench import PLAIN, bench_install, fresh_install
from bench.context import below
from comfy_capsule.packager import actions
from comfy_capsule.packager.capsule import Capsule, read_capsule
from comfy_capsule.packager.comfy import find_install, traced_run
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.image.context import write_context
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore import restore, verify

COMMIT = "0123456789abcdef" * 2 + "01234567"
# What a pack's node opens when it runs, each in its own way.
PACK = """
import json, os, socket, sys
from pathlib import Path
import folder_paths, torch
from safetensors.torch import load_file
from . import settings

HERE = Path(__file__).parent
HUB = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ["HF_HOME"], "hub"), "models--team--net/snapshots/COMMIT")

class Opens:
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "test", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"outside": ("STRING", {"default": ""})}}

    def run(self, outside):
        (HERE / "weights/tiny [1].bin").read_bytes()
        load_file(Path(folder_paths.models_dir, "annotators/net.safetensors"))
        json.loads((HUB / "config.json").read_text())
        (HUB / "model.bin").read_bytes()
        torch.hub.load_state_dict_from_url("http://models.invalid/part.pth", progress=False)
        Path(folder_paths.get_input_directory(), "words.txt").read_text()
        (HERE / "tracked.txt").read_text()
        (HERE / "api_key.txt").read_text()
        if outside:
            Path(outside).read_text()
        try:
            socket.getaddrinfo("models.invalid", 80)
        except OSError:
            pass
        return {"ui": {"text": [settings.WORD]}}

NODE_CLASS_MAPPINGS = {"Opens": Opens}
""".replace("COMMIT", COMMIT)


class Traced(NamedTuple):
    """The install, its caches, the file outside of everything, and the workflow's two files."""

    comfy: Path
    caches: Path
    outside: Path
    workflow: Path
    api: Path


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A ComfyUI whose pack opens files everywhere."""
    folder = tmp_path_factory.mktemp("traced")
    comfy = fresh_install(folder / "ComfyUI")
    pack = trees.checkout(
        comfy / "custom_nodes/opens",
        {"__init__.py": PACK, "tracked.txt": "", ".gitignore": "settings.py\nweights/\napi_key.txt\n"},
        origin="",
    )
    (pack / "settings.py").write_text("WORD = 'ignored'\n")
    (pack / "api_key.txt").write_text("not for everybody")
    (pack / "weights").mkdir()
    (pack / "weights/tiny [1].bin").write_bytes(b"weights")
    (pack / "weights/unused.bin").write_bytes(b"unused")
    (comfy / "models/annotators").mkdir()
    shutil.copyfile(comfy / "models/upscale_models/bench-x2.safetensors", comfy / "models/annotators/net.safetensors")
    (comfy / "input/words.txt").write_text("words")
    caches = folder / "caches"
    hub = caches / "huggingface/hub/models--team--net"
    for name, data in {"config.json": b"{}", "model.bin": b"large"}.items():
        etag = (hashlib.sha256 if name == "model.bin" else hashlib.sha1)(data).hexdigest()
        (hub / "blobs").mkdir(parents=True, exist_ok=True)
        (hub / "blobs" / etag).write_bytes(data)
        (hub / "snapshots" / COMMIT).mkdir(parents=True, exist_ok=True)
        (hub / "snapshots" / COMMIT / name).symlink_to(f"../../blobs/{etag}")
    import_torch = "import sys, torch; torch.save({}, sys.argv[1])"
    (caches / "torch/hub/checkpoints").mkdir(parents=True)
    subprocess.run(
        [comfy / ".venv/bin/python", "-c", import_torch, caches / "torch/hub/checkpoints/part.pth"], check=True
    )
    outside = Path(tempfile.mkdtemp(dir=Path.home())) / "outside.txt"
    outside.write_text("outside")
    api = PLAIN.api | {"90": {"class_type": "Opens", "inputs": {"outside": str(outside)}}}
    (folder / "api.json").write_text(json.dumps(api))
    yield Traced(comfy, caches, outside, PLAIN.ui_path, folder / "api.json")
    shutil.rmtree(outside.parent)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _own_caches(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of these tests has caches of his own."""
    _use(monkeypatch, traced.caches)


@pytest.fixture(scope="module")
def capsule(traced: Traced, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """Exported with a trace, as the command does it."""
    out = tmp_path_factory.mktemp("capsules") / "opens.capsule.zip"
    with pytest.MonkeyPatch.context() as patch:
        _use(patch, traced.caches)
        actions.export(
            str(traced.comfy),
            traced.workflow,
            traced.api,
            out,
            name=None,
            message="",
            strict=False,
            trace=True,
            python=None,
            report=silent,
        )
    return read_capsule(out)


def test_everything_that_it_opens_is_recorded(capsule: Capsule, traced: Traced) -> None:
    hub = f"huggingface/hub/models--team--net/snapshots/{COMMIT}"
    assert {(item.place, item.name, bool(item.carried)) for item in capsule.lock.files} == {
        ("comfyui", "custom_nodes/opens/settings.py", True),
        ("comfyui", "custom_nodes/opens/weights/tiny [1].bin", True),
        ("cache", f"{hub}/config.json", True),
        ("cache", f"{hub}/model.bin", False),  # its address is proved: the etag is its sha256
        ("cache", "torch/hub/checkpoints/part.pth", True),
    }
    large = next(item for item in capsule.lock.files if not item.carried)
    assert large.sources[0].proved
    assert f"team/net/resolve/{COMMIT}/model.bin" in large.sources[0].url
    assert ("annotators", "net.safetensors") in {(item.folder, item.name) for item in capsule.lock.models}
    assert "words.txt" in {item.name for item in capsule.lock.inputs}


def test_each_is_a_finding(capsule: Capsule, traced: Traced) -> None:
    said = {(item.code, item.subject, item.blocks) for item in capsule.lock.findings}
    assert {
        ("ignored-file-used", "opens", False),
        ("cached-file-used", "the cache huggingface", False),
        ("cached-file-used", "the cache torch", False),
        ("secret-file-left-out", "opens", False),
        ("network-used", "models.invalid", False),
    } <= said
    outside = next(item for item in capsule.lock.findings if item.code == "outside-file-used")
    assert outside.blocks
    assert outside.subject.endswith(f"{traced.outside.parent.name}/outside.txt")
    assert not any("api_key" in name for name in capsule.files)
    traced_codes = {code for code, _, _ in said} & {"used-file-without-source", "used-file-not-recorded"}
    assert not traced_codes


def test_it_runs_where_nothing_of_it_was(
    capsule: Capsule, traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored, with empty caches: it opens its own, and a trace of that records the same."""
    graph = json.loads(traced.api.read_text())
    graph["90"]["inputs"]["outside"] = ""
    store = ModelStore(tmp_path / "store")
    models = [bench_install() / "models", traced.caches]
    made = restore(capsule, tmp_path / "ComfyUI", models_from=models, store=store)
    assert made.table.equal, made.table.differing
    assert {row.subject for row in made.table.rows if row.kind == "file"} == {
        f".capsule-cache/{item.name}" if item.place == "cache" else item.name for item in capsule.lock.files
    }
    (made.path / "custom_nodes/opens/api_key.txt").write_text("put there again, as its finding says")
    _use(monkeypatch, tmp_path / "no caches")
    again = actions.snapshot(
        str(made.path),
        python=None,
        boot=False,
        workflow=traced.workflow,
        api=_written(tmp_path / "again.json", graph),
        packs="all",
        trace=True,
        out=None,
        report=silent,
    )
    content = {"sources", "carried"}  # the etag that proved an address is not given back
    assert [item.model_dump(exclude=content) for item in again.lock.files] == [
        item.model_dump(exclude=content) for item in capsule.lock.files
    ]
    start = (made.path / "start-comfyui.sh").read_text()
    assert 'export HF_HOME="$PWD/.capsule-cache/huggingface"' in start


def test_a_changed_one_is_a_difference(capsule: Capsule, traced: Traced) -> None:
    """In the install that it came from, where the caches are the user's own."""
    ignored = traced.comfy / "custom_nodes/opens/settings.py"
    before = verify(capsule, traced.comfy, trust=True, boot=False)
    assert [row.subject for row in before.differing if row.kind == "file"] == []
    ignored.write_text("WORD = 'another'\n")
    after = verify(capsule, traced.comfy, trust=True, boot=False)
    ignored.write_text("WORD = 'ignored'\n")
    assert [row.subject for row in after.differing if row.kind == "file"] == ["custom_nodes/opens/settings.py"]


def test_the_image_has_them(capsule: Capsule, traced: Traced, tmp_path: Path) -> None:
    models = [bench_install() / "models", traced.caches]
    made = write_context(
        capsule, tmp_path / "context", report=silent, packs="all", models_from=models, prove=False
    ).folder
    files = below(made / "files")
    assert f'COPY --link ["files/{files.name}/", "/"]' in (made / "Dockerfile").read_text()
    for item in capsule.lock.files:
        place = f".capsule-cache/{item.name}" if item.place == "cache" else item.name
        assert hashlib.sha256((files / "comfyui" / place).read_bytes()).hexdigest() == item.sha256


def test_a_workflow_that_fails_is_no_trace(traced: Traced) -> None:
    graph = {"90": {"class_type": "Opens", "inputs": {"outside": "/nowhere/at all"}}}
    with pytest.raises(CapsuleError, match=r"node 90 .Opens.: .*nowhere/at all") as error:
        traced_run(find_install(traced.comfy), graph)
    assert error.value.code == "trace-failed"


def test_a_running_comfyui_is_not_traced(traced: Traced) -> None:
    asked = {"python": None, "boot": False, "packs": "all", "trace": True, "out": None, "report": silent}
    with pytest.raises(BadInput, match=r"--comfy DIR"):
        actions.snapshot("http://127.0.0.1:1", workflow=traced.workflow, api=traced.api, **asked)
    with pytest.raises(BadInput, match=r"--workflow"):
        actions.snapshot(str(traced.comfy), workflow=None, api=None, **asked)


def _use(patch: pytest.MonkeyPatch, caches: Path) -> None:
    """Not all caches: uv's and our own are where they always are."""
    patch.setenv("HF_HOME", str(caches / "huggingface"))
    patch.setenv("TORCH_HOME", str(caches / "torch"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        patch.delenv(name, raising=False)


def _written(path: Path, graph: object) -> Path:
    path.write_text(json.dumps(graph))
    return path
