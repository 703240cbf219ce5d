"""Export from the page: visible progress, a downloaded capsule that says what was marked, errors with their cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench import PLAIN, UPSCALE
from browser.editor import Editor
from comfy_capsule.packager.capsule import Capsule, read_capsule


def download(page: Page, folder: Path, button: object) -> tuple[str, Path]:
    """Click `button`; returns the name under which the browser saves, and the file."""
    with page.expect_download(timeout=120_000) as waiting:
        button.click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path.name, path


def says(capsule: Capsule) -> tuple[list[str], list[str]]:
    contract = capsule.contract
    return [each.name for each in contract.inputs], [each.name for each in contract.outputs]


def test_marks_reach_the_contract_of_the_downloaded_capsule(editor: Editor, tmp_path: Path) -> None:
    editor.load(PLAIN.ui, "Plain Picture")
    editor.open_panel()
    editor.mark_input(1, "width")
    button = editor.panel.get_by_test_id("capsule-export")
    name, path = download(editor.page, tmp_path, button)
    assert name == "plain-picture.capsule.zip"
    capsule = read_capsule(path)
    assert says(capsule) == (["width", "strength", "levels"], ["image"])
    assert capsule.lock.observed.frontend == editor.page.evaluate("__COMFYUI_FRONTEND_VERSION__")
    done = editor.panel.get_by_test_id("capsule-done")
    expect(done).to_contain_text(capsule.digests.id)
    expect(done).to_contain_text("3 in · 1 out")
    expect(editor.panel).to_contain_text("comfy-capsule build plain-picture.capsule.zip -t plain-picture")

    editor.panel.get_by_label("Copy").click()
    copied = editor.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "comfy-capsule build plain-picture.capsule.zip -t plain-picture"

    again = download(editor.page, tmp_path, editor.panel.get_by_label("Download"))[1]
    assert read_capsule(again).digests == capsule.digests
    assert read_capsule(download(editor.page, tmp_path, button)[1]).digests.id == capsule.digests.id


@pytest.mark.parametrize("way", ["action bar", "file menu"])
def test_the_other_ways_to_export(editor: Editor, tmp_path: Path, way: str) -> None:
    editor.load(UPSCALE.ui, "upscale")
    if way == "action bar":
        button = editor.page.locator("[data-testid=action-bar-buttons]").get_by_role(
            "button", name=re.compile("capsule")
        )
    else:
        editor.page.locator("[data-testid=comfy-menu-button], .comfy-menu-button-wrapper").first.click()
        editor.page.get_by_role("menuitem", name="File").first.hover()
        button = editor.page.get_by_role("menuitem", name="Export as container")
    capsule = read_capsule(download(editor.page, tmp_path, button)[1])
    assert says(capsule) == (["picture", "strength", "levels"], ["image"])
    expect(editor.panel).to_contain_text("Capsule ready")


def test_progress_is_seen_and_can_be_cancelled(editor: Editor) -> None:
    editor.load(PLAIN.ui).open_panel()
    phases: list[str] = []
    editor.page.expose_function("noted", lambda phase: phases.append(phase))
    editor.page.evaluate(
        """() => new MutationObserver(() => {
             for (const row of document.querySelectorAll('.cc-phase')) noted(row.children[1].textContent);
           }).observe(document.querySelector('.comfy-capsule'), { childList: true, subtree: true })"""
    )
    editor.panel.get_by_test_id("capsule-export").click()
    expect(editor.panel.get_by_test_id("capsule-done")).to_be_visible(timeout=120_000)
    assert {"Custom node packs", "Python packages", "Writing the capsule"} <= set(phases)

    editor.page.route("**/capsule/export", lambda route: route.fulfill(status=202, json={"task": "waits"}))
    waiting = {"task": "waits", "state": "running", "progress": [], "result": None, "error": None}
    editor.page.route("**/capsule/tasks/waits", lambda route: route.fulfill(json=waiting))
    stopped = {**waiting, "state": "cancelled"}
    editor.page.route("**/capsule/tasks/waits/cancel", lambda route: route.fulfill(json=stopped))
    editor.panel.get_by_test_id("capsule-export").click()
    editor.panel.get_by_role("button", name="Cancel").click()
    expect(editor.panel).to_contain_text("Cancelled. Nothing was kept.")


def test_the_export_goes_on_while_the_panel_is_closed(editor: Editor, tmp_path: Path) -> None:
    editor.load(PLAIN.ui, "closed").open_panel()
    with editor.page.expect_download(timeout=120_000):
        editor.panel.get_by_test_id("capsule-export").click()
        editor.page.locator(".capsule-tab-button, [data-testid=capsule-tab-button]").first.click()
    expect(editor.page.get_by_text("Capsule ready").first).to_be_visible()
    editor.open_panel()
    expect(editor.panel.get_by_test_id("capsule-done")).to_contain_text("closed.capsule.zip")


def test_a_node_that_is_not_installed_is_named(editor: Editor) -> None:
    graph = PLAIN.ui
    graph["nodes"][1]["type"] = "NobodyHasThis"
    editor.load(graph)
    editor.page.keyboard.press("Escape")  # the front-end's own notice of missing nodes
    editor.open_panel().get_by_test_id("capsule-export").click()
    failed = editor.panel.get_by_test_id("capsule-failed")
    expect(failed).to_contain_text("“NobodyHasThis” (id 2), which is not installed here")
    expect(failed).to_contain_text("Install its pack")
    expect(editor.panel.get_by_role("button", name="Try again")).to_be_visible()


def test_what_the_engine_refuses_is_said_with_its_cure(editor: Editor) -> None:
    graph = PLAIN.ui
    graph["nodes"][1]["properties"]["capsule"]["inputs"]["gone"] = {"name": "gone"}
    editor.load(graph).open_panel().get_by_test_id("capsule-export").click()
    expect(editor.panel).to_contain_text("no longer has this widget")
    failed = editor.panel.get_by_test_id("capsule-failed")
    expect(failed).to_contain_text("gone", timeout=60_000)
    assert len(failed.inner_text().splitlines()) >= 3, "a title, a sentence, a cure"


def test_an_unreachable_server_is_said(editor: Editor) -> None:
    editor.load(PLAIN.ui).open_panel()
    editor.page.route("**/capsule/**", lambda route: route.abort())
    editor.panel.get_by_test_id("capsule-export").click()
    expect(editor.panel.get_by_test_id("capsule-failed")).to_contain_text("ComfyUI does not answer")
