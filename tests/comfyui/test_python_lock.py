"""The Python lock of a real ComfyUI's environment, and of editables that setuptools made."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from bench.python_env import a_lock, as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.materialise import install_python, read_pylock
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.uv import find_uv

# setuptools maps the module to a folder of another name with a finder of its own.
PROJECT = """\
[project]
name = "my-thing"
version = "1.5"
[project.scripts]
my-thing = "my_thing:main"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
package-dir = { my_thing = "." }
packages = ["my_thing"]
"""
CODE = "from pathlib import Path\ndef main():\n    print((Path(__file__).parent / 'words.txt').read_text())\n"


def test_every_wheel_of_a_real_environment_is_proved_once(
    comfyui: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_of_comfyui, cache = as_install(comfyui / ".venv"), Cache(tmp_path / "cache.sqlite3")
    said = lock_python(install_of_comfyui, silent, cache=cache)
    assert said.findings == ()
    assert said.files == {}
    locked = read_pylock(said.text)
    assert len(locked.pylock.packages) == len(said.versions) > 90
    assert locked.unproved == ()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    start = time.perf_counter()
    assert lock_python(install_of_comfyui, silent, cache=cache) == said
    assert time.perf_counter() - start < 2, "an unchanged environment is one look at each file"


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_an_editable_that_is_mapped_by_a_finder(tool: str, tmp_path: Path) -> None:
    root = tmp_path / "source"
    root.mkdir()
    for name, text in {"pyproject.toml": PROJECT, "__init__.py": CODE, "words.txt": "hello"}.items():
        (root / name).write_text(text)
    made = venv(tmp_path / "v")
    install("uv", made, ["setuptools>=70"])
    install(tool, made, ["-e", str(root)], "--no-build-isolation")
    subprocess.run([find_uv(), "pip", "uninstall", "-q", "--python", made, "setuptools"], check=True)
    cache = Cache(tmp_path / "cache.sqlite3")
    said = lock_python(as_install(made), silent, cache=cache)
    assert [(item.code, item.blocks) for item in said.findings] == [("local-distribution", False)]
    assert read_pylock(said.text).tool.editables[0].modules == {"my_thing": "."}
    root.rename(tmp_path / "gone")
    install_python(a_lock(), said.text, tmp_path / "back", silent, trust=False, files=said.files)
    printed = subprocess.run([tmp_path / "back/bin/my-thing"], capture_output=True, text=True, check=True)
    assert printed.stdout == "hello\n"
    assert lock_python(as_install(tmp_path / "back"), silent, cache=cache) == said
