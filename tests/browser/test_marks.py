"""Marks: made by right click in both renderers, seen on the node and in the panel, undone, saved, copied."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from bench import PLAIN
from browser.editor import Editor
from comfy_capsule.packager.workflow import find_marks

WIDTH = {"v": 1, "inputs": {"width": {"name": "width"}}}
IMAGE, SAVE = 1, 3  # node ids of the fixture


def unmarked(graph: dict[str, Any]) -> dict[str, Any]:
    for node in graph["nodes"]:
        node.get("properties", {}).pop("capsule", None)
    return graph


@pytest.fixture
def plain(editor: Editor) -> Editor:
    """The bench's plain workflow, nothing marked, the panel open."""
    editor.load(unmarked(PLAIN.ui))
    editor.open_panel()
    return editor


def test_a_widget_becomes_an_api_input_by_right_click(plain: Editor) -> None:
    expect(plain.panel).to_contain_text("Nothing is marked yet")
    assert "API input: width" in plain.menu(IMAGE, "width")
    plain.choose("API input: width")
    assert plain.marks()[str(IMAGE)] == WIDTH
    assert plain.badges()[str(IMAGE)] == "API: 1 in"
    assert plain.listed() == ["width"]
    if plain.vue:
        ring = "e => getComputedStyle(e, '::after').borderTopWidth"
        assert plain.row(IMAGE, "width").evaluate(ring) != "0px"
        assert plain.row(IMAGE, "height").evaluate(ring) == "0px"

    assert "Remove API input: width" in plain.menu(IMAGE, "width")
    plain.choose("Remove API input: width")
    assert plain.marks()[str(IMAGE)] is None
    assert plain.badges()[str(IMAGE)] == ""
    expect(plain.panel).to_contain_text("Nothing is marked yet")


def test_any_widget_can_be_chosen_from_the_list(plain: Editor) -> None:
    plain.menu(IMAGE)
    plain.choose("API inputs", "batch_size")
    assert plain.listed() == ["batch_size"]


def test_an_output_node_becomes_an_api_output(plain: Editor) -> None:
    assert "API output" not in plain.menu(IMAGE)
    plain.page.keyboard.press("Escape")
    plain.mark_output(SAVE)
    assert plain.marks()[str(SAVE)] == {"v": 1, "inputs": {}, "output": {"name": "image"}}
    assert plain.badges()[str(SAVE)] == "API: out"
    assert plain.listed() == ["image"]


def test_undo_and_redo(plain: Editor) -> None:
    plain.mark_input(IMAGE, "width")
    plain.mark_output(SAVE)
    plain.undo_until(["width"])
    assert plain.marks() == {"1": WIDTH, "2": None, "3": None}
    assert plain.badges()[str(SAVE)] == ""
    plain.undo_until([])
    plain.press("Control+Shift+z")
    assert plain.marks()[str(IMAGE)] == WIDTH
    assert plain.badges()[str(IMAGE)] == "API: 1 in"


def test_marks_are_saved_and_loaded(plain: Editor) -> None:
    plain.mark_input(IMAGE, "width")
    plain.mark_output(SAVE)
    graph = plain.saved()
    plain.open().load(graph).open_panel()
    assert plain.marks()[str(IMAGE)] == WIDTH
    assert plain.listed() == ["width", "image"]
    assert plain.badges() == {"1": "API: 1 in", "2": "", "3": "API: out"}


def test_a_pasted_copy_gets_a_name_of_its_own(plain: Editor) -> None:
    plain.mark_input(IMAGE, "width")
    plain.page.mouse.click(*plain.position(IMAGE))
    plain.page.keyboard.press("Control+c")
    plain.press("Control+v")
    assert sorted(plain.listed()) == ["width", "width_2"]
    plain.undo_until(["width"])


def test_marks_are_renamed_found_and_removed_in_the_panel(plain: Editor) -> None:
    plain.mark_input(IMAGE, "width")
    plain.mark_input(IMAGE, "height")
    field = plain.panel.get_by_label("Name in the API").first
    field.fill("Wide!")
    field.press("Enter")
    expect(plain.panel.get_by_role("alert").first).to_contain_text("(wide)")
    assert plain.listed() == ["width", "height"]
    field.fill("height")
    field.press("Enter")
    expect(plain.panel.get_by_role("alert").first).to_contain_text("called “height” already")
    field.fill("picture_width")
    field.press("Enter")
    expect(field).to_have_value("picture_width")
    assert plain.marks()[str(IMAGE)]["inputs"]["width"] == {"name": "picture_width"}

    plain.page.evaluate("() => { app.canvas.ds.offset = [9000, 9000] }")
    plain.panel.get_by_label("Show the node").first.click()
    plain.page.wait_for_timeout(500)
    assert plain.page.evaluate("() => app.canvas.ds.offset[0] < 3000")

    plain.panel.get_by_label("Remove from the API").first.click()
    assert plain.listed() == ["height"]
    plain.undo_until(["picture_width", "height"])


def test_marks_live_on_in_a_subgraph(plain: Editor) -> None:
    plain.mark_input(IMAGE, "width")
    plain.page.mouse.click(*plain.position(IMAGE))
    plain.page.evaluate("() => app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph')")
    plain.page.wait_for_timeout(800)
    assert plain.listed() == ["width"]
    plain.panel.get_by_label("Show the node").first.click()
    plain.page.wait_for_timeout(800)
    assert plain.page.evaluate("() => app.canvas.graph !== app.rootGraph")
    assert "API: 1 in" in plain.badges().values()


def test_a_primitive_is_marked_and_sets_what_it_feeds(editor: Editor) -> None:
    graph = unmarked(PLAIN.ui)
    widths = {
        "id": 9,
        "type": "PrimitiveNode",
        "pos": [100, 420],
        "size": [270, 100],
        "flags": {},
        "order": 0,
        "mode": 0,
    }
    widths |= {"inputs": [], "properties": {}, "widgets_values": [64, "fixed"]}
    widths["outputs"] = [{"name": "INT", "type": "INT", "links": [9], "widget": {"name": "width"}}]
    graph["nodes"].append(widths)
    graph["links"].append([9, 9, 0, IMAGE, 0, "INT"])
    for node in graph["nodes"]:
        if node["id"] == IMAGE:
            node["inputs"][0]["link"] = 9
    editor.load(graph).open_panel()
    editor.mark_input(9, "value")
    assert editor.marks()["9"] == {"v": 1, "inputs": {"value": {"name": "value"}}}
    assert editor.badges()["9"] == "API: 1 in"
    assert editor.panel.get_by_role("alert").all_inner_texts() == [""]
    found = find_marks(editor.saved()).inputs
    assert [each.targets for each in found] == [((str(IMAGE), "width"),)]
