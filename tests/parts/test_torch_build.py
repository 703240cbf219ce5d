"""Another build of torch than the captured one: a lock of its own, by real uv from a real index, each change named."""

from __future__ import annotations

import hashlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.context import below
from bench.images import small_capsule
from bench.index import PackageIndex, default_index, make_wheel
from bench.python_env import HERE, a_lock
from comfy_capsule.packager.capsule import Capsule, ComfyUI, Finding, read_capsule
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.image import write_context
from comfy_capsule.packager.materialise import Derived, derived, read_pylock
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.snapshot import with_torch

PYTHON = Path(sys.executable)
CAPTURED = {
    "torch": "2.0+cu130", "torchvision": "0.3+cu130", "nvidia-cublas-cu13": "13.0", "triton": "3.0",
    "cuda-bindings": "1.0", "numpy": "1.0", "nvidia-ml-py": "1.0", "of-the-pack": "1.0",
}  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with default_index(tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def captured(tmp_path: Path, index: PackageIndex) -> str:
    """A lock with torch for CUDA; on the index it is there for the processor, and in a newer version of numpy too."""
    text = 'lock-version = "1.0"\ncreated-by = "test"\n'
    for name, version in CAPTURED.items():
        file = make_wheel(tmp_path / "captured", name, version)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        text += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        text += f'wheels = [{{ url = "https://index.example/{file.name}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    make_wheel(index.folder, "torch", "2.0+cpu", requires="numpy")
    make_wheel(index.folder, "torch", "2.1+cpu")
    make_wheel(index.folder, "torchvision", "0.3+cpu", requires="intel-like==5.0")
    for version in ("1.0", "2.0"):
        make_wheel(index.folder, "numpy", version)
    make_wheel(index.folder, "of-the-pack", requires="cuda-bindings")
    for name in ("nvidia-ml-py", "cuda-bindings"):
        make_wheel(index.folder, name)
    make_wheel(index.folder, "intel-like", "5.0")
    records = ", ".join(f'{name} = "{"ab" * 32}"' for name in ("torch", "numpy"))
    return text + f'[tool.comfy-capsule]\nunproved = ["odd==1.0"]\nrecords = {{ {records} }}\n'


def test_the_family_is_replaced_and_what_only_it_needs_goes(captured: str) -> None:
    made = with_torch(captured, "cpu", "x86_64", HERE, PYTHON)
    lock = read_pylock(made.text)
    assert lock.versions() == {
        "torch": "2.0+cpu", "torchvision": "0.3+cpu", "intel-like": "5.0", "numpy": "1.0", "of-the-pack": "1.0",
        "cuda-bindings": "1.0", "nvidia-ml-py": "1.0", "odd": "1.0",
    }  # fmt: skip
    assert {item.subject for item in made.findings} == {
        "torch", "torchvision", "intel-like", "nvidia-cublas-cu13", "triton"
    }  # fmt: skip
    assert {item.code for item in made.findings} == {"torch-build-changed"}
    assert "With torch for cpu, torch 2.0+cu130 is 2.0+cpu there." in {item.message for item in made.findings}
    assert lock.tool.records["numpy"] == "ab" * 32
    assert lock.tool.records["torch"] not in ("", "ab" * 32), "what will be installed of the other wheel"
    assert next(item for item in lock.pylock.packages if item.name == "torch").wheels[0].hashes  # type: ignore[index]


@pytest.mark.parametrize("build", ["cu118", "gpu", "--index"])
def test_a_build_that_nobody_has_is_refused(captured: str, build: str) -> None:
    with pytest.raises(BadInput) as refused:
        with_torch(captured, build, "x86_64", HERE, PYTHON)
    assert refused.value.code == "no-torch-build"


def test_without_torch_there_is_nothing_to_change(index: PackageIndex) -> None:
    with pytest.raises(BadInput) as refused:
        with_torch('lock-version = "1.0"\ncreated-by = "t"\npackages = []\n', "cpu", "x86_64", HERE, PYTHON)
    assert refused.value.code == "no-torch"


def test_a_derived_capsule_is_another_environment_of_the_same_capsule(captured: str) -> None:
    capsule = Capsule(a_lock().model_copy(update={"comfyui": ComfyUI(version="0.30.0", kind="git")}), captured, {}, {},
                      Contract(name="w"), {}, {})  # fmt: skip
    finding = Finding(code="torch-build-changed", subject="torch", message="m", cure="c")
    other = derived(capsule, Derived(pylock=captured.replace("cu130", "cpu"), torch="2.0+cpu", findings=(finding,)))
    assert other.digests.capsule == capsule.digests.capsule
    assert other.digests.contract == capsule.digests.contract
    assert other.digests.environment != capsule.digests.environment
    assert other.lock.platform.torch == "2.0+cpu"


def test_a_context_with_another_torch_installs_it_and_says_so(captured: str, tmp_path: Path) -> None:
    capsule = small_capsule(tmp_path, captured)
    said: list[Progress] = []
    folder = tmp_path / "context"
    base = f"python:{HERE}-slim"
    context = write_context(capsule, folder, base=base, python_in_base=True, torch="cpu", report=said.append)
    versions = read_pylock((folder / "lock/pylock.toml").read_text()).versions()
    assert (versions["torch"], versions["numpy"]) == ("2.0+cpu", "1.0")
    assert any("torch 2.0+cu130 is 2.0+cpu there" in event.item for event in said)
    assert context.plan.digests["capsule"] == capsule.digests.capsule
    assert context.plan.digests["environment"] != capsule.digests.environment
    inside = read_capsule(below(folder / "capsule") / "w.capsule.zip")
    assert inside.pylock == captured, "the capsule in the image is the one that was given"
    changed = Derived.model_validate_json((below(folder / "capsule") / "derived.json").read_bytes())
    assert derived(inside, changed).pylock == (folder / "parts/environment/pylock.toml").read_text()
    lock = tomllib.loads((folder / "parts/environment/capsule.toml").read_text())
    assert {item["code"] for item in lock["findings"]} == {"torch-build-changed"}
