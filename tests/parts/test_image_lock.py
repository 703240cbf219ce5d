"""What the image's build does with wheels, changed files and source trees that the capsule carries, done for real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.context import dockerfile
from bench.index import make_wheel
from bench.python_env import a_lock, as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.image.lock import write_lock
from comfy_capsule.packager.image.plan import make_plan
from comfy_capsule.packager.materialise import site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.uv import find_uv

PROJECT = """\
[project]
name = "mine"
version = "1"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """A venv with a local wheel, changed files, and an editable."""
    made = venv(tmp_path / "v")
    files = {"alpha/__init__.py": "said = 'as made'\n", "alpha/gone.py": "x = 1\n"}
    install("uv", made, [make_wheel(tmp_path, "alpha", files=files)])
    (tmp_path / "mine/src/mine").mkdir(parents=True)
    (tmp_path / "mine/pyproject.toml").write_text(PROJECT)
    (tmp_path / "mine/src/mine/__init__.py").write_text("said = 'mine'\n")
    install("uv", made, ["-e", tmp_path / "mine"])
    (site_packages(made) / "alpha/__init__.py").write_text("said = 'changed'\n")
    (site_packages(made) / "alpha/gone.py").unlink()
    (site_packages(made) / "stray.py").write_text("said = 'stray'\n")
    return made


def test_the_build_step_gives_the_captured_environment(captured: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.sqlite3")
    said = lock_python(as_install(captured), silent, cache=cache)
    capsule = Capsule(a_lock(), said.text, {}, {}, Contract(name="w"), {}, said.files)
    plan = make_plan(capsule, base="python", python_in_base=True)
    write_lock(capsule, plan, tmp_path / "lock")
    text = dockerfile(plan)
    step = re.search(r"/build/uv venv --quiet --python \S+ /opt/venv &&.*?\n(?=COPY)", text, re.DOTALL)
    assert step is not None
    script = (
        step[0].replace("\\\n", " ").replace("/build/uv ", f"{find_uv()} ").replace(plan.interpreter, sys.executable)
    )
    script = script.replace("/build/lock", str(tmp_path / "lock")).replace("/opt/venv", str(tmp_path / "built"))
    for name in ("removed.txt", "compile.txt"):
        file = tmp_path / "lock" / name
        file.write_text(file.read_text().replace("/opt/venv", str(tmp_path / "built")))
    settings = {"UV_COMPILE_BYTECODE": "1", "PYC_INVALIDATION_MODE": "UNCHECKED_HASH", "UV_NO_CONFIG": "1"}
    subprocess.run(["sh", "-ec", script], env={**os.environ, **settings}, check=True)
    built = tmp_path / "built"
    code = "import alpha, mine, stray; print(alpha.said, mine.said, stray.said)"
    printed = subprocess.run([built / "bin/python", "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "changed mine stray\n", "byte code of before the change was taken"
    again = lock_python(as_install(built), silent, known=said.text, cache=cache)
    assert again.text == said.text
    assert not list(built.rglob("uv_cache.json")), "it holds the time"


def test_nothing_carried_leaves_no_trace_in_the_context(tmp_path: Path) -> None:
    text = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
    capsule = Capsule(a_lock(), text, {}, {}, Contract(name="w"), {}, {})
    plan = make_plan(capsule, base="python", python_in_base=True)
    write_lock(capsule, plan, tmp_path / "lock")
    assert [path.name for path in (tmp_path / "lock").iterdir()] == ["pylock.toml"]
    assert "overlay" not in dockerfile(plan)
    assert "find-links" not in dockerfile(plan)
