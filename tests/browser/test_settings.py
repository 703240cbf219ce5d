"""What callers may send and in which order: set in the panel and its dialogs, undone, saved, and in the contract."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from bench import PLAIN, RunningComfy
from browser.editor import Editor
from browser.test_marks import unmarked
from browser.test_screens import shoot
from comfy_capsule.packager.contract import Contract, build_contract

IMAGE, TINT, SAVE = 1, 2, 3  # node ids of the fixture


@pytest.fixture
def marked(editor: Editor) -> Editor:
    """The bench's plain workflow with four marks, the panel open."""
    graph = unmarked(PLAIN.ui)
    names = {"width": "width", "height": "height", "batch_size": "count"}
    for node in graph["nodes"]:
        if node["id"] == IMAGE:
            node["properties"]["capsule"] = {"v": 1, "inputs": {key: {"name": name} for key, name in names.items()}}
        if node["id"] == SAVE:
            node["properties"]["capsule"] = {"v": 1, "inputs": {}, "output": {"name": "picture"}}
    editor.load(graph)
    editor.open_panel()
    assert editor.listed() == ["width", "height", "count", "picture"]
    return editor


def settings(editor: Editor, row: int) -> Any:
    editor.panel.get_by_label("Settings").nth(row).click()
    return editor.page.locator("dialog.cc-dialog")


def contract(editor: Editor, comfy: RunningComfy) -> Contract:
    """As an export would make it, of the graph that is open."""
    graph = editor.page.evaluate("async () => (await app.graphToPrompt()).output")
    info = editor.page.request.get(f"{comfy.base_url}/object_info").json()
    return build_contract("plain", editor.saved(), graph, info)


def test_an_input_is_named_described_and_narrowed(marked: Editor, comfy: RunningComfy) -> None:
    dialog = settings(marked, 0)
    expect(dialog).to_contain_text("API input: width")
    dialog.get_by_label("Title").fill("Picture width")
    dialog.get_by_label("Description").fill("In pixels.")
    dialog.get_by_label("Group").fill("Size")
    dialog.get_by_label("Minimum").fill("0")
    dialog.get_by_label("Maximum").fill("1024")
    shoot(marked, "settings-number")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_have_text("The minimum is below the node's own.")
    dialog.get_by_label("Minimum").fill("16")
    dialog.get_by_label("Step").fill("8")
    dialog.get_by_label("Callers must give it").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    said = {
        "name": "width", "title": "Picture width", "description": "In pixels.",
        "minimum": 16, "maximum": 1024, "step": 8, "required": True,
    }  # fmt: skip
    assert marked.marks()[str(IMAGE)]["inputs"]["width"] == said
    first = contract(marked, comfy).inputs[0]
    assert (first.title, first.minimum, first.maximum, first.step, first.required, first.group) == (
        "Picture width", 16, 1024, 8, True, "Size",
    )  # fmt: skip
    expect(marked.panel.locator(".cc-group")).to_have_text("Size")

    marked.undo_until(["width", "height", "count", "picture"])
    marked.press("Control+z")
    assert marked.marks()[str(IMAGE)]["inputs"]["width"] == {"name": "width"}
    expect(marked.panel.locator(".cc-group")).to_have_count(0)


def test_a_dialog_is_left_without_a_change(marked: Editor) -> None:
    before = marked.saved()
    dialog = settings(marked, 3)
    expect(dialog).to_contain_text("API output")
    dialog.get_by_label("Name in the API").fill("nonsense!")
    dialog.get_by_label("Name in the API").press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("(nonsense)")
    marked.page.keyboard.press("Control+z")
    marked.page.keyboard.press("Delete")  # neither reaches the canvas
    marked.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert marked.saved()["nodes"] == before["nodes"]


def test_a_value_that_callers_may_not_send_is_told_on_the_mark(marked: Editor) -> None:
    dialog = settings(marked, 0)
    dialog.get_by_label("Maximum").fill("32")
    dialog.get_by_role("button", name="Save").click()
    expect(marked.panel.get_by_role("alert").first).to_contain_text("The value in the editor")
    assert marked.badges()[str(IMAGE)] == "API: 3 in ⚠"
    shoot(marked, "settings-problem")
    dialog = settings(marked, 0)
    dialog.get_by_label("Default").fill("24")
    dialog.get_by_role("button", name="Save").click()
    expect(marked.panel.get_by_role("alert").first).to_have_text("")
    assert marked.badges()[str(IMAGE)] == "API: 3 in"


def test_choices_are_taken_away(editor: Editor, comfy: RunningComfy) -> None:
    graph = unmarked(PLAIN.ui)
    tint = next(node for node in graph["nodes"] if node["id"] == TINT)
    tint["properties"]["capsule"] = {"v": 1, "inputs": {"colour": {"name": "colour"}}}
    editor.load(graph).open_panel()
    dialog = settings(editor, 0)
    dialog.get_by_role("button", name="None").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one.")
    dialog.locator(".cc-options").get_by_label("green").check()
    dialog.locator(".cc-options").get_by_label("sepia").check()
    dialog.get_by_label("Default").select_option(label="green")
    shoot(editor, "settings-choices")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    (only,) = contract(editor, comfy).inputs
    assert (set(only.choices or ()), only.default) == ({"green", "sepia"}, "green")


def test_the_order_is_the_users(marked: Editor, comfy: RunningComfy) -> None:
    handles = marked.panel.locator(".cc-handle")
    handles.nth(2).focus()
    marked.page.keyboard.press("ArrowUp")
    assert marked.listed() == ["width", "count", "height", "picture"]
    marked.page.keyboard.press("ArrowUp")  # the handle keeps the focus
    assert marked.listed() == ["count", "width", "height", "picture"]
    marked.panel.locator(".cc-row").nth(2).hover()
    handles.nth(2).drag_to(marked.panel.locator(".cc-row").nth(0))
    assert marked.listed() == ["height", "count", "width", "picture"]
    assert [each.name for each in contract(marked, comfy).inputs] == ["height", "count", "width"]
    graph = marked.saved()
    marked.open().load(graph).open_panel()
    assert marked.listed() == ["height", "count", "width", "picture"]
    marked.panel.get_by_label("Name in the API").nth(1).fill("copies")
    marked.panel.get_by_label("Name in the API").nth(1).press("Enter")
    assert marked.listed() == ["height", "copies", "width", "picture"]
    marked.undo_until(["height", "count", "width", "picture"])


def test_the_api_is_called_and_described(marked: Editor, comfy: RunningComfy) -> None:
    marked.panel.get_by_label("About this API").click()
    dialog = marked.page.locator("dialog.cc-dialog")
    dialog.get_by_label("Title").fill("Plain pictures")
    dialog.get_by_label("Description").fill("One colour,\nany size.")
    dialog.get_by_role("button", name="Save").click()
    made = contract(marked, comfy)
    assert (made.title, made.description) == ("Plain pictures", "One colour,\nany size.")


def test_app_mode_is_taken_over_and_written_back(editor: Editor) -> None:
    graph = unmarked(PLAIN.ui)
    graph["extra"]["linearData"] = {"inputs": [[IMAGE, "height"], [IMAGE, "width", {"height": 40}]], "outputs": [SAVE]}
    editor.load(graph).open_panel()
    expect(editor.panel).to_contain_text("an App Mode selection (2 in, 1 out)")
    shoot(editor, "app-mode-found")
    editor.panel.get_by_role("button", name="Use App Mode selection").click()
    assert editor.listed()[:2] == ["height", "width"]
    assert len(editor.listed()) == 3
    editor.panel.get_by_label("Remove from the API").first.click()
    editor.panel.get_by_role("button", name="Write to App Mode").click()
    expect(editor.panel.get_by_role("status").first).to_contain_text("Written")
    shoot(editor, "app-mode-written")
    kept = editor.saved()
    assert [entry[1] for entry in kept["extra"]["linearData"]["inputs"]] == ["width"]
    assert [str(node) for node in kept["extra"]["linearData"]["outputs"]] == [str(SAVE)]
    editor.open().load(kept)
    editor.page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
    widgets = editor.page.locator("[data-testid=app-mode-widget-item]")
    expect(widgets.first).to_be_visible()
    expect(widgets).to_have_count(1)


def test_a_node_is_marked_from_the_selection_toolbox(editor: Editor) -> None:
    editor.load(unmarked(PLAIN.ui)).open_panel()
    editor.page.mouse.click(*editor.position(SAVE))
    editor.page.locator("[data-testid=selection-toolbox]").get_by_label("API inputs and outputs").click()
    dialog = editor.page.locator("dialog.cc-dialog")
    expect(dialog).to_contain_text("API of Save Image")
    dialog.get_by_label("filename_prefix").check()
    dialog.get_by_label("API output").check()
    shoot(editor, "mark-node")
    dialog.get_by_role("button", name="Save").click()
    assert editor.listed() == ["filename_prefix", "image"]
    editor.undo_until([])
    editor.page.evaluate("() => app.canvas.deselectAll()")
    editor.page.evaluate("() => app.extensionManager.command.execute('ComfyCapsule.Mark')")
    expect(editor.page.get_by_text("Select one node").first).to_be_visible()


def test_what_is_deleted_with_its_node_is_said(marked: Editor) -> None:
    marked.page.mouse.click(*marked.position(SAVE))
    marked.page.keyboard.press("Delete")
    expect(marked.page.get_by_text("No longer in the API: picture").first).to_be_visible()
    shoot(marked, "deleted")
    marked.undo_until(["width", "height", "count", "picture"])


def test_what_only_moves_is_not_said_to_be_deleted(marked: Editor) -> None:
    marked.page.mouse.click(*marked.position(IMAGE))
    marked.page.evaluate("() => app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph')")
    marked.page.wait_for_timeout(800)
    marked.press("Control+z")
    marked.load(unmarked(PLAIN.ui))
    expect(marked.page.get_by_text("No longer in the API")).to_have_count(0)
