"""What the lock says of the system, held to what the dynamic linker of this machine really loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import System
from comfy_capsule.packager.comfy import Install, find_install
from comfy_capsule.packager.command import run
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.python.lock import read_distributions
from comfy_capsule.packager.snapshot.system.elf import read_elf
from comfy_capsule.packager.snapshot.system.libraries import read_needs, shared_objects
from comfy_capsule.packager.snapshot.system.sonames import tables
from comfy_capsule.packager.snapshot.system.system import read_system
from comfy_capsule.packager.uv import find_uv

# Native code of every kind there is in ComfyUI's environment: bundled libraries, ctypes, Rust, CUDA, media.
_MODULES = (
    *("torch", "torchvision", "torchaudio", "triton._C.libtriton", "numpy", "scipy.linalg", "scipy.special"),
    *("PIL.Image", "PIL._imagingft", "av", "sentencepiece", "tokenizers", "safetensors", "kornia_rs", "regex"),
    *("aiohttp", "yaml", "psutil", "blake3", "hf_xet", "pydantic_core", "sqlalchemy", "comfy_aimdo"),
)
_LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
places = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if ".so" in line}
print(json.dumps(sorted(places)))
"""


@pytest.fixture(scope="module")
def install(comfyui: Path) -> Install:
    return find_install(comfyui)


@pytest.fixture(scope="module")
def system(install: Install, tmp_path_factory: pytest.TempPathFactory) -> System:
    cache = Cache(tmp_path_factory.mktemp("cache") / "answers")
    installed = (item.distribution for item in read_distributions(install, cache)[0])
    versions = {item.name: item.version for item in installed}
    first = read_system(install, "linux", versions, cache, silent)
    assert read_system(install, "linux", versions, cache, silent) == first
    assert not first.findings
    return first.system


def test_all_that_the_linker_takes_from_the_system_is_in_the_lock(install: Install, system: System) -> None:
    loaded = json.loads(run([install.python, "-c", _LOADED, *_MODULES], timeout=300).splitlines()[-1])
    inside = [str(place.resolve()) for place in (install.root, install.base_prefix, *install.site_packages)]
    outside = [Path(place) for place in loaded if not place.startswith(tuple(inside))]
    own_python = _closure([Path(install.base_prefix, "lib"), *Path(install.base_prefix).rglob("lib-dynload")])
    said = {item.soname for item in system.libraries if item.kind == "os"}
    allowed = said | own_python | _below(outside, said | own_python)
    names = {elf.soname for place in outside if (elf := read_elf(place)) is not None}
    assert {"libc.so.6", "libstdc++.so.6", "libz.so.1"} <= names
    assert names <= allowed, names - allowed


def test_comfyui_needs_no_more_than_a_few_small_packages(system: System) -> None:
    assert system.packages == ("libc6", "libfribidi0", "libgcc-s1", "libstdc++6", "zlib1g")
    assert {"libcuda.so.1": "driver", "libibverbs.so.1": "optional"}.items() <= {
        item.soname: item.kind for item in system.libraries
    }.items()
    assert [(item.name, item.kind) for item in system.programs] == [("nvidia-smi", "driver")]


# The distributions of the packages that are linked to more of the system than libc and the compiler's libraries.
_BENCH = {"av": "av", "numpy": "numpy", "scipy": "scipy", "PIL": "pillow", "pillow": "pillow"}
_OTHERS = {"cv2": "opencv-python", "opencv_python": "opencv-python", "pygame": "pygame"}


def test_the_table_of_linked_wheels_says_what_their_files_say(install: Install, tmp_path: Path) -> None:
    wanted = ["opencv-python==5.0.0.93", "pygame==2.6.1"]
    run([find_uv(), "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", *wanted], timeout=300)
    apart = install.model_copy(update={"site_packages": (tmp_path / "site",), "custom_nodes": ()})
    for place, names in ((install, _BENCH), (apart, _OTHERS)):
        needs = read_needs(shared_objects(place, Cache(tmp_path / "cache")), place).needed
        linked: dict[str, set[str]] = {}
        for soname, owners in needs.items():
            if not tables().is_driver(soname) and tables().package(soname) not in ("libc6", "libgcc-s1", "libstdc++6"):
                for owner in owners:
                    linked.setdefault(names[owner], set()).add(soname)
        assert linked == {name: set(tables().linked[name]) for name in names.values()}
    opened = {"triton": "libtriton.so", "nvidia-cudnn-cu13": "libcudnn_graph.so.9"}  # by their names, so nobody's needs
    for item in shared_objects(install, Cache(tmp_path / "cache")):
        for name, file in opened.items():
            assert file != item.file.name or set(tables().linked[name]) <= set(item.elf.needed)


def _closure(folders: list[Path]) -> set[str]:
    """What the shared objects right in `folders` need: the interpreter's own share."""
    files = [file for folder in folders for file in folder.glob("*.so*")]
    return {name for file in files if (elf := read_elf(file)) is not None for name in elf.needed}


def _below(places: list[Path], wanted: set[str]) -> set[str]:
    """What the `wanted` system libraries need in their turn: their packages bring it."""
    needs = {elf.soname: set(elf.needed) for place in places if (elf := read_elf(place)) is not None}
    waiting, below = list(wanted), set()
    while waiting:
        more = needs.get(waiting.pop(), set()) - below
        below |= more
        waiting += more
    return below
