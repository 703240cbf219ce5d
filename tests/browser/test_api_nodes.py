"""API nodes in the editor: in the panel by being there, renamed and copied, and the engine reads the same of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from bench import RunningComfy
from browser.editor import Editor
from comfy_capsule.packager.contract import build_contract

EXAMPLE = Path(__file__).parents[2] / "example_workflows/resize-a-photo.json"
WIDTH = 2  # node id


@pytest.fixture
def example(editor: Editor) -> Editor:
    editor.load(json.loads(EXAMPLE.read_text()))
    editor.open_panel()
    return editor


def names(editor: Editor) -> dict[str, Any]:
    said = (
        "() => Object.fromEntries(app.graph.nodes.map((n) => [n.id, n.widgets?.find((w) => w.name === 'name')?.value]))"
    )
    return dict(editor.page.evaluate(said))


def test_they_are_listed_renamed_and_never_taken_off(example: Editor) -> None:
    assert example.listed() == ["photo", "width", "method", "picture"]
    assert example.panel.get_by_label("Remove from the API").count() == 0
    assert not [item for item in example.menu(WIDTH) if "API" in item]
    example.page.keyboard.press("Escape")
    field = example.panel.get_by_label("Name in the API").nth(1)
    field.fill("pixels")
    field.press("Enter")
    expect(example.panel.get_by_label("Name in the API").nth(1)).to_have_value("pixels")
    assert names(example)[str(WIDTH)] == "pixels"
    example.undo_until(["photo", "width", "method", "picture"])
    assert names(example)[str(WIDTH)] == "width"


def test_a_copy_gets_a_name_of_its_own(example: Editor) -> None:
    example.page.evaluate(
        f"() => {{ app.canvas.selectItems([app.graph.getNodeById({WIDTH})]); app.canvas.copyToClipboard();"
        " app.canvas.pasteFromClipboard(); }"
    )
    expect(example.panel.get_by_label("Name in the API")).to_have_count(5)
    assert sorted(example.listed()) == ["method", "photo", "picture", "width", "width_2"]


def test_the_engine_reads_what_the_panel_shows_and_each_has_its_help(example: Editor, comfy: RunningComfy) -> None:
    sent = example.page.evaluate("() => app.graphToPrompt()")
    example.page.wait_for_timeout(100)
    info = example.page.evaluate("() => fetch('/object_info').then((answer) => answer.json())")
    contract = build_contract("resize", sent["workflow"], sent["output"], info)
    shown = [each.name for each in (*contract.inputs, *contract.outputs)]
    assert shown == example.listed()
    width = contract.inputs[1]
    assert (width.type, width.default, width.minimum, width.maximum) == ("integer", 512, 64, 2048)
    assert contract.inputs[2].choices == ("lanczos", "bicubic", "nearest-exact")
    for name in ("CapsuleImage", "CapsuleOutputText"):
        help_page = example.page.request.get(f"{comfy.base_url}/extensions/comfy-capsule/docs/{name}.md")
        assert help_page.text().startswith("# API")
