"""A large ComfyUI install for the warm snapshot: real git clones, real wheels installed by uv, and an index of them.

Packs are clones of small bare repositories, 40 files each; one in ten has an untracked file, one in twenty a changed
one. Distributions are wheels of 60 files, two of them of 10,000 (as torch's is); they exist on the local index alone,
which counts what it is asked. Models are small files: warm, their size does not matter. All of it lies in the bench
cache, and is made once.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench import Commit, bench_home, build_pack, cache_root
from bench.cache import building
from bench.git import git
from comfy_capsule.packager.command import run
from comfy_capsule.packager.uv import find_uv

FOLDER = "upscale_models"
_RECIPE = "2"
_KINDS, _FILES = 5, 40  # different packs, files of each
_MODULES, _LARGE = 60, 10_000  # files of a distribution, and of the two large ones
_OLD = 1_700_000_000  # long at rest


def warm_install(packs: int, distributions: int, models: int) -> Path:
    """The folder with ``ComfyUI/`` and ``index/``, made when it is not there."""
    final = cache_root() / f"warm-{_RECIPE}-{packs}-{distributions}-{models}-{bench_home().name}"
    if not final.is_dir():
        with building(final) as place:
            if place is not None:
                _build(place, final, packs, distributions, models)
    return final


def _build(place: Path, final: Path, packs: int, distributions: int, models: int) -> None:
    root = place / "ComfyUI"
    git("clone", "--quiet", bench_home() / "origins" / "ComfyUI.git", root, cwd=place)
    git("remote", "set-url", "origin", "https://example.invalid/ComfyUI.git", cwd=root)
    _add_distributions(place, root, final, distributions)
    origins = [_origin(place / "origins", number) for number in range(_KINDS)]
    for number in range(packs):
        folder = root / "custom_nodes" / f"pack-{number:03}"
        git("clone", "--quiet", origins[number % _KINDS].as_uri(), folder, cwd=place)
        git("remote", "set-url", "origin", f"https://example.invalid/pack-{number:03}.git", cwd=folder)
        if number % 10 == 0:
            (folder / "config.json").write_text('{"mine": true}\n')
        if number % 20 == 1:
            (folder / "nodes_0.py").write_text("# changed\n")
    (root / "models" / FOLDER).mkdir(parents=True, exist_ok=True)
    for name in model_names(models):
        path = root / "models" / FOLDER / name
        path.write_bytes(hashlib.sha256(name.encode()).digest() * 32)
        os.utime(path, (_OLD, _OLD))


def model_names(count: int) -> list[str]:
    return [f"model-{number:04}.safetensors" for number in range(count)]


def object_info(packs: int, models: int) -> dict[str, Any]:
    """What a ComfyUI of these packs and models would say of its nodes: three classes a pack, and the loader."""
    names = model_names(models)
    said = {"UpscaleModelLoader": _class({"model_name": [names, {}]}, "nodes")}
    for number in range(packs):
        for kind in range(3):
            said[f"Pack{number}Node{kind}"] = _class({"text": ["STRING", {}]}, f"custom_nodes.pack-{number:03}")
    return said


def _class(required: dict[str, Any], module: str) -> dict[str, Any]:
    return {"input": {"required": required}, "output": ["IMAGE"], "output_node": False, "python_module": module}


def graph(models: int) -> dict[str, Any]:
    """One loader a model, and a node of one pack."""
    loaders = {
        str(number): {"class_type": "UpscaleModelLoader", "inputs": {"model_name": name}}
        for number, name in enumerate(model_names(models))
    }
    return {**loaders, "pack": {"class_type": "Pack0Node0", "inputs": {"text": "x"}}}


def _origin(origins: Path, number: int) -> Path:
    text = "".join(f"def function_{line}(value):\n    return value + {line}\n\n\n" for line in range(150))
    files: dict[str, str | bytes | None] = {
        f"nodes_{file}.py": f'"""Nodes {number}."""\n\n{text}' for file in range(_FILES - 4)
    }
    picture = hashlib.sha256(str(number).encode()).digest() * 8000
    files |= {"README.md": "A pack.\n", ".gitignore": "__pycache__/\n", "a.png": picture, "requirements.txt": "numpy\n"}
    return build_pack(origins, f"kind-{number}", Commit("First", files)).origin


def _add_distributions(place: Path, root: Path, final: Path, count: int) -> None:
    index = place / "index"
    index.mkdir()
    names = [f"bench-warm-{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        _write_wheel(index, name, _LARGE if number < 2 else _MODULES)
    venv = root / ".venv"
    run([find_uv(), "venv", "--quiet", "--python", sys.executable, venv])
    words = ["--quiet", "--no-deps", "--offline", "--no-index", "--no-cache", "--find-links", index]
    run([find_uv(), "pip", "install", *words, "--python", venv, *names])
    for script in ("activate_this.py", "activate"):
        file = venv / "bin" / script
        file.write_text(file.read_text().replace(str(place), str(final)))


def _write_wheel(index: Path, name: str, modules: int) -> None:
    stem, package = f"{name.replace('-', '_')}-1.0.0", name.replace("-", "_")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n"
    wheel = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        f"{package}/part{number // 100}/module_{number}.py": f"VALUE = {number}\n" * 100 for number in range(modules)
    }
    files |= {f"{stem}.dist-info/METADATA": metadata, f"{stem}.dist-info/WHEEL": wheel}
    record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,"]) + "\n"
    with zipfile.ZipFile(index / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    (index / f"{stem}-py3-none-any.whl.metadata").write_text(metadata)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Index(BaseHTTPRequestHandler):
    """The simple repository API (PEP 503, with PEP 658 metadata) over a folder of wheels."""

    folder: Path
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2:
            wheel = self.folder / f"{parts[1].replace('-', '_')}-1.0.0-py3-none-any.whl"
            if not wheel.is_file():
                return self.send_error(404)
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            link = f'<a href="/files/{wheel.name}#sha256={digest}" data-core-metadata="true">{wheel.name}</a>'
            return self._answer(link.encode(), "text/html")
        file = self.folder / parts[-1]
        if parts[0] == "files" and file.is_file():
            return self._answer(file.read_bytes(), "application/octet-stream")
        return self.send_error(404)

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def index(folder: Path) -> Iterator[tuple[str, type[Index]]]:
    """Serve the wheels in `folder`; gives the index's address, and the class that counts what was asked."""
    handler = type("Here", (Index,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple", handler
    finally:
        server.shutdown()
        server.server_close()
