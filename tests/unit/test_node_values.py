"""What the API nodes are given, looked at without a ComfyUI: JSON, and paths of which none leads out."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    """By its path: `nodes/__init__.py` imports ComfyUI."""
    name = "comfy_capsule.nodes.values"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "nodes/values.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


values = _load()


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    for name in ("output/sub", "temp", "outputs"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("output/sub/a.bin", "temp/b.bin", "secret.txt", "outputs/near.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "output/out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "output/in.bin").symlink_to(tmp_path / "output/sub/a.bin")
    (tmp_path / "output/up").symlink_to(tmp_path)
    return {"output": str(tmp_path / "output"), "temp": str(tmp_path / "temp")}


def test_files_below_are_named_as_comfyui_names_them(folders: dict[str, str]) -> None:
    below = {
        folders["output"] + "/sub/a.bin": ("a.bin", "sub", "output"),
        "sub/a.bin": ("a.bin", "sub", "output"),
        "sub/../in.bin": ("a.bin", "sub", "output"),
        folders["temp"] + "/b.bin": ("b.bin", "", "temp"),
        "b.bin": ("b.bin", "", "temp"),
    }
    assert {path: values.find_below(folders, path) for path in below} == below


@pytest.mark.parametrize(
    "path", ["../secret.txt", "sub/../../secret.txt", "out.txt", "up/secret.txt", "../outputs/near.txt", "/etc/passwd"]
)
def test_files_outside_are_refused(folders: dict[str, str], path: str) -> None:
    with pytest.raises(ValueError, match=r"is outside ComfyUI's output or temp folder|There is no file"):
        values.find_below(folders, path)
    with pytest.raises(ValueError, match="is outside ComfyUI's output or temp folder"):
        values.find_below(folders, str(Path(folders["output"]) / path))


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("none.bin", "There is no file 'none.bin' in ComfyUI's output or temp folder"),
        ("sub", "There is no file 'sub'"),
        (".", "There is no file '.'"),
        ("a\0b", "is a text"),
        ("", "is a text"),
        (None, "is a text; this is NoneType"),
        (b"sub/a.bin", "is a text; this is bytes"),
    ],
)
def test_what_is_no_file_is_said(folders: dict[str, str], path: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        values.find_below(folders, path)


def test_json_is_read_strictly_and_nothing_of_it_is_told() -> None:
    assert values.read_json('{"a": [1, null, "ä"]}') == {"a": [1, None, "ä"]}
    for text in ("", "{", '{"token": hunter2}', "NaN", "[Infinity]", "1e999", "[" * 100_000):
        with pytest.raises(ValueError, match=r"^The text is no JSON") as error:
            values.read_json(text)
        assert "hunter2" not in str(error.value)


def test_values_become_json_or_are_refused() -> None:
    assert values.as_json({"a": (1, 2), 3: None}) == {"a": [1, 2], "3": None}
    inside_itself: list[object] = []
    inside_itself.append(inside_itself)
    for value in (math.nan, math.inf, {1, 2}, object(), b"x", inside_itself):
        with pytest.raises(ValueError, match=r"^The value is nothing that JSON can say: .+\.$"):
            values.as_json(value)
