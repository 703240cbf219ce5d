"""Marks in and on subgraphs: a definition used twice, promoted widgets, nesting, unpacking; and several workflows."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from bench import PLAIN, RunningComfy
from browser.editor import Editor
from browser.test_marks import unmarked
from browser.test_screens import shoot
from browser.test_settings import contract
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput

MAKE = "11111111-2222-4333-8444-555555555555"
INNER, FIRST, SECOND = 1, 10, 11  # the inner EmptyImage, and the two hosts of its definition
_SELECT = """(ids) => { app.canvas.deselectAll();
  app.canvas.selectItems(app.canvas.graph.nodes.filter((node) => ids.includes(String(node.id)))); }"""
_COMMAND = "(id) => app.extensionManager.command.execute(id)"


def slot(name: str, kind: str, link: int | None = None, *, widget: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": kind, "link": link}
    return {**made, "widget": {"name": name}} if widget else made


def node(number: int, kind: str, inputs: list[Any], outputs: list[Any], values: list[Any]) -> dict[str, Any]:
    return {
        "id": number, "type": kind, "pos": [100 + 340 * (number // 20), 100 + 240 * (number % 10)], "size": [270, 150],
        "flags": {}, "order": number, "mode": 0, "properties": {}, "inputs": inputs, "outputs": outputs,
        "widgets_values": values,
    }  # fmt: skip


def twice(**inner_marks: str) -> dict[str, Any]:
    """A definition that makes a picture, used twice; its hosts show the inner node's height.

    Args:
        inner_marks: names by widget, of the inner node.
    """
    picture = [{"name": "IMAGE", "type": "IMAGE", "links": [2]}]
    numbers = [slot(name, "INT", 1 if name == "height" else None, widget=True) for name in ("width", "height")]
    inner = node(INNER, "EmptyImage", numbers, picture, [64, 48, 1, 0])
    inner["properties"]["capsule"] = {"v": 1, "inputs": {key: {"name": name} for key, name in inner_marks.items()}}
    definition = {
        "id": MAKE, "name": "Make", "version": 1, "revision": 0, "config": {}, "groups": [], "widgets": [], "extra": {},
        "state": {"lastGroupId": 0, "lastNodeId": 1, "lastLinkId": 2, "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [-200, 100, 120, 60]},
        "outputNode": {"id": -20, "bounding": [500, 100, 120, 60]},
        "inputs": [{"id": MAKE[:-1] + "6", "name": "height", "type": "INT", "linkIds": [1], "pos": [-100, 120]}],
        "outputs": [{"id": MAKE[:-1] + "7", "name": "IMAGE", "type": "IMAGE", "linkIds": [2], "pos": [520, 120]}],
        "nodes": [inner],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": INNER, "target_slot": 1, "type": "INT"},
            {"id": 2, "origin_id": INNER, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "IMAGE"},
        ],
    }  # fmt: skip
    hosts, saves = [], []
    for link, (host, save) in enumerate([(FIRST, 20), (SECOND, 21)], start=1):
        out = [{"name": "IMAGE", "type": "IMAGE", "links": [link]}]
        hosts.append(node(host, MAKE, [slot("height", "INT", widget=True)], out, [48]))
        saves.append(node(save, "SaveImage", [slot("images", "IMAGE", link)], [], [f"made-{host}"]))
    return {
        "id": MAKE[:-1] + "8", "version": 0.4, "revision": 0, "last_node_id": 30, "last_link_id": 9,
        "nodes": [*hosts, *saves], "links": [[1, FIRST, 0, 20, 0, "IMAGE"], [2, SECOND, 0, 21, 0, "IMAGE"]],
        "groups": [], "config": {}, "extra": {}, "definitions": {"subgraphs": [definition]},
    }  # fmt: skip


def run_command(editor: Editor, command: str, *nodes: int) -> None:
    editor.page.evaluate(_SELECT, [str(each) for each in nodes])
    editor.page.evaluate(_COMMAND, command)
    editor.page.wait_for_timeout(800)


def targets(made: Contract) -> dict[str, list[tuple[str, str]]]:
    return {each.name: [(to.node, to.input) for to in each.targets] for each in made.inputs}


def test_an_inner_mark_sets_every_use_and_the_hosts_marks_one_each(editor: Editor, comfy: RunningComfy) -> None:
    editor.load(twice(width="width")).open_panel()
    for host in (FIRST, SECOND):
        editor.mark_input(host, "height")
    assert sorted(editor.listed()) == ["height", "make_height", "width"]
    assert editor.badges()[str(FIRST)] == "API: 1 in"
    expect(editor.panel).to_contain_text("Empty Image · width · sets 2")
    shoot(editor, "definition-used-twice")
    assert targets(contract(editor, comfy)) == {
        "width": [(f"{FIRST}:{INNER}", "width"), (f"{SECOND}:{INNER}", "width")],
        "height": [(f"{FIRST}:{INNER}", "height")],
        "make_height": [(f"{SECOND}:{INNER}", "height")],
    }


def test_two_marks_that_set_one_value_are_shown_and_refused(editor: Editor, comfy: RunningComfy) -> None:
    editor.load(twice(height="inner_height")).open_panel()
    assert editor.panel.get_by_role("alert").all_inner_texts() == [""], "by itself the inner mark is right"
    editor.mark_input(FIRST, "height")
    expect(editor.panel).to_contain_text("Another one sets this value already")
    shoot(editor, "marks-share-a-value")
    with pytest.raises(BadInput) as refused:
        contract(editor, comfy)
    assert refused.value.code == "mark-target-twice"


def test_marks_live_on_when_hosts_are_put_into_a_subgraph(editor: Editor, comfy: RunningComfy) -> None:
    editor.load(twice(width="width")).open_panel()
    editor.mark_input(FIRST, "height")
    run_command(editor, "Comfy.Graph.ConvertToSubgraph", FIRST, SECOND)
    assert sorted(editor.listed()) == ["height", "width"]
    found = targets(contract(editor, comfy))
    outer = found["height"][0][0].split(":")[0]
    assert found == {
        "width": [(f"{outer}:{FIRST}:{INNER}", "width"), (f"{outer}:{SECOND}:{INNER}", "width")],
        "height": [(f"{outer}:{FIRST}:{INNER}", "height")],
    }
    editor.panel.get_by_label("Show the node").last.click()
    editor.page.wait_for_timeout(800)
    assert editor.page.evaluate("() => app.canvas.graph !== app.rootGraph")


def test_unpacking_keeps_inner_marks_and_says_which_are_gone(editor: Editor, comfy: RunningComfy) -> None:
    graph = twice(width="width")
    graph["nodes"] = [each for each in graph["nodes"] if each["id"] not in (SECOND, 21)]
    graph["links"].pop()  # front-end 1.47 leaves a definition that is still used empty
    editor.load(graph).open_panel()
    editor.mark_input(FIRST, "height")
    names = editor.listed()
    run_command(editor, "Comfy.Graph.UnpackSubgraph", FIRST)
    expect(editor.page.get_by_text("No longer in the API: height").first).to_be_visible()
    assert editor.listed() == ["width"]
    [[(node, widget)]] = targets(contract(editor, comfy)).values()
    assert (":" in node, widget) == (False, "width")
    editor.undo_until(names)


def test_marks_are_those_of_the_workflow_that_is_open(editor: Editor) -> None:
    editor.load(unmarked(PLAIN.ui), "first").open_panel()
    editor.mark_input(1, "width")
    editor.load(twice(width="inside"), "second")
    assert editor.listed() == ["inside"]
    editor.page.get_by_role("button", name="first").or_(editor.page.get_by_text("first", exact=True)).first.click()
    expect(editor.panel.locator(".cc-name")).to_have_count(1)
    expect(editor.panel.locator(".cc-name").first).to_have_value("width")
    assert editor.badges()["1"] == "API: 1 in"
    expect(editor.page.get_by_text("No longer in the API")).to_have_count(0)
