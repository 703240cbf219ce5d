"""What a traced run opened, told apart by where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import UsedFile
from comfy_capsule.packager.comfy import Install, Trace
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.materialise import used_place
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.models.search import Found
from comfy_capsule.packager.snapshot.traced.files import read_used_files
from comfy_capsule.packager.snapshot.traced.places import Opened, OpenedFile, sort_opened


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, in whose cache ComfyUI itself lies."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def install(home: Path) -> Install:
    root = home / ".cache/apps/ComfyUI"
    (root / "custom_nodes").mkdir(parents=True)
    return Install(
        root=root,
        python=root / ".venv/bin/python",
        python_version="3.11.7",
        implementation="cpython",
        base_prefix=home / "python",
        site_packages=(root / ".venv/lib/python3.11/site-packages",),
        version="1",
        custom_nodes=(root / "custom_nodes", home / "shared/nodes"),
        model_folders={"loras": (root / "models/loras", home / "big/loras")},
        model_extensions={},
        input_dir=root / "input",
        output_dir=root / "output",
        temp_dir=root / "temp",
        user_dir=root / "user",
    )


def opened(install: Install, home: Path, *names: Path | str, **environment: str) -> Opened:
    paths = [home / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    made = frozenset(path for path in paths if path.name.startswith("made"))
    return sort_opened(install, Trace(read=tuple(paths), made=made), environment, home, [home / "dev/editable"])


def test_what_the_lock_has_is_not_told_again(install: Install, home: Path) -> None:
    root = install.root
    said = opened(
        install,
        home,
        root / "main.py",  # without git every file of the tree is carried
        root / "custom_nodes/pack/__init__.py",
        root / "custom_nodes/single.py",
        root / ".venv/lib/python3.11/site-packages/torch/__init__.py",
        root / ".venv/pyvenv.cfg",
        root / "custom_nodes/pack/.git/HEAD",
        root / "output/made.png",
        root / "user/default/settings.json",
        root / "extra_model_paths.yaml",
        "python/lib/python3.11/json/__init__.py",
        "dev/editable/module.py",
        "made in the temp folder.txt",  # where this test runs
    )
    assert said == Opened((), (), (), ())


def test_models_and_inputs_are_themselves(install: Install, home: Path) -> None:
    root = install.root
    lora, other = home / "big/loras/a/b.safetensors", root / "models/annotators/x.onnx"
    said = opened(install, home, lora, other, root / "input/sub/words.txt")
    assert said.models == (Found("annotators", "x.onnx", other), Found("loras", "a/b.safetensors", lora))
    assert said.inputs == ("sub/words.txt",)
    assert not said.files
    assert not said.outside


def test_caches_are_known_wherever_they_are(install: Install, home: Path) -> None:
    root = install.root
    said = opened(
        install,
        home,
        "hub/models--a--b/refs/main",
        "face/token-free.json",
        "t/hub/checkpoints/x.pth",
        ".cache/other/y.bin",
        root / ".capsule-cache/torch/hub/z.pth",
        HF_HUB_CACHE=str(home / "hub"),
        HF_HOME=str(home / "face"),
        TORCH_HOME=str(home / "t"),
    )
    assert {(item.place, item.name, item.subject) for item in said.files} == {
        ("cache", "huggingface/hub/models--a--b/refs/main", "the cache huggingface"),
        ("cache", "huggingface/token-free.json", "the cache huggingface"),
        ("cache", "torch/hub/checkpoints/x.pth", "the cache torch"),
        ("cache", "other/y.bin", "the cache other"),
        ("cache", "torch/hub/z.pth", "the cache torch"),
    }


def test_byte_code_is_its_source_and_left_out_files_are_used(install: Install, home: Path) -> None:
    pack = install.root / "custom_nodes/pack"
    (pack / "venv").mkdir(parents=True)
    (pack / "venv/inner.py").write_text("")
    said = opened(
        install,
        home,
        pack / "venv/__pycache__/inner.cpython-311.pyc",
        pack / "__pycache__/only.cpython-311.pyc",
        "shared/nodes/far/venv/weights.bin",
    )
    assert {(item.name, item.subject) for item in said.files} == {
        ("custom_nodes/pack/venv/inner.py", "pack"),
        ("custom_nodes/pack/__pycache__/only.cpython-311.pyc", "pack"),
        ("custom_nodes/far/venv/weights.bin", "far"),
    }


def test_what_no_capsule_gives_back_blocks(install: Install, home: Path, tmp_path: Path) -> None:
    said = opened(install, home, "models/far.bin", ".gitconfig", ".config/tool/x.ini")
    found = read_used_files(said, Trace(hosts=("example.com",)), home, silent, Cache(tmp_path / "cache"))
    assert {(item.code, item.subject, item.blocks) for item in found.findings} == {
        ("outside-file-used", "~/models/far.bin", True),
        ("outside-file-used", "~/.gitconfig", False),
        ("outside-file-used", "~/.config/tool/x.ini", False),
        ("network-used", "example.com", False),
    }


def test_secrets_odd_names_and_large_files(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.snapshot.traced.files._CARRIED", 60)
    names = ["huggingface/token", "odd:name", "large", "small", "settings.json"]
    for name in names:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(name.encode() * (20 if name == "large" else 1))
    (home / "settings.json").write_text("hf_" + "a1B2" * 9)
    items = [OpenedFile("cache", name, home / name, "the cache") for name in [*names, "gone"]]
    found = read_used_files(Opened((), (), tuple(items), ()), Trace(), home, silent, Cache(tmp_path / "cache"))
    assert [(item.name, item.carried) for item in found.files] == [("large", ""), ("small", "files/cache/small")]
    assert found.carried == {"files/cache/small": b"small"}
    said = {item.code: item for item in found.findings}
    assert "huggingface/token, settings.json" in said["secret-file-left-out"].message
    assert "odd:name, gone" in said["used-file-not-recorded"].message
    assert ": large." in said["used-file-without-source"].message


@pytest.mark.parametrize("name", ["custom_nodes/x/.git/hooks/post-checkout", ".GIT/config", "../x", "/etc/x"])
def test_a_hostile_place_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="ask its author"):
        used_place(UsedFile(place="comfyui", name=name, size=1, sha256="0" * 64))
