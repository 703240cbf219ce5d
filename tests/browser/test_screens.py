"""Pictures of every state of the panel, to be looked at; with COMFY_CAPSULE_PICTURES=1 those of the README too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from bench import UPSCALE
from browser.conftest import ARTEFACTS
from browser.editor import Editor
from browser.frontends import versions

DOCS = Path(__file__).parents[2] / "docs" / "images"
PALETTES = ("dark", "light")
README = {"dark-2-marked": "panel.png", "dark-6-findings": "export.png"}


def shoot(editor: Editor, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    editor.page.mouse.move(700, 860)
    editor.page.wait_for_timeout(400)
    version = editor.page.evaluate("__COMFYUI_FRONTEND_VERSION__")
    renderer = "vue" if editor.vue else "canvas"
    path = ARTEFACTS / f"screen-{name}-{version}-{renderer}.png"
    editor.page.screenshot(path=path)
    if os.environ.get("COMFY_CAPSULE_PICTURES") and (version, renderer) == (versions()[-1], "vue") and name in README:
        DOCS.mkdir(parents=True, exist_ok=True)
        editor.page.screenshot(path=DOCS / README[name], clip={"x": 0, "y": 0, "width": 1400, "height": 780})


@pytest.mark.parametrize("palette", PALETTES)
def test_every_state_of_the_panel(editor: Editor, palette: str) -> None:
    editor.open(**{"Comfy.ColorPalette": palette})
    empty = UPSCALE.ui
    for node in empty["nodes"]:
        node["properties"].pop("capsule", None)
    editor.load(empty, "empty").open_panel()
    shoot(editor, f"{palette}-1-empty")
    editor.load(UPSCALE.ui, "upscale")
    expect(editor.panel.get_by_label("Name", exact=True)).to_have_value("upscale")
    editor.page.evaluate("() => { app.canvas.ds.scale = 0.78; app.canvas.ds.offset = [470, 180]; }")
    shoot(editor, f"{palette}-2-marked")
    running = {"task": "t", "state": "running", "result": None, "error": None, "progress": PROGRESS}
    editor.page.route("**/capsule/export", lambda route: route.fulfill(status=202, json={"task": "t"}))
    editor.page.route("**/capsule/tasks/t", lambda route: route.fulfill(json=running))
    editor.panel.get_by_test_id("capsule-export").click()
    editor.page.wait_for_timeout(300)
    shoot(editor, f"{palette}-3-running")
    failed = {**running, "state": "failed", "error": ERROR}
    editor.page.route("**/capsule/tasks/t", lambda route: route.fulfill(json=failed))
    expect(editor.panel.get_by_test_id("capsule-failed")).to_be_visible()
    shoot(editor, f"{palette}-4-failed")
    editor.page.unroute("**/capsule/export")
    with editor.page.expect_download(timeout=120_000):
        editor.panel.get_by_test_id("capsule-export").click()
    expect(editor.panel.get_by_test_id("capsule-done")).to_be_visible()
    shoot(editor, f"{palette}-5-done")
    editor.panel.locator("summary").click()
    shoot(editor, f"{palette}-6-findings")


@pytest.fixture(autouse=True)
def dark_again(editor: Editor) -> Any:
    """The palette is a setting of the server, which outlives the page."""
    yield
    editor.open(**{"Comfy.ColorPalette": "dark"})


PROGRESS = [
    {"phase": "contract", "item": "", "done": 1, "total": 1, "unit": "items"},
    {"phase": "packs", "item": "bench-tint", "done": 12, "total": 12, "unit": "items"},
    {"phase": "models", "item": "bench-x2.safetensors", "done": 3_400_000_000, "total": 6_900_000_000, "unit": "bytes"},
]
ERROR = {
    "code": "two-marks",
    "message": "The marks “strength” and “amount” both set the widget strength of Tint (bench).",
    "cure": "Remove one of them.",
}
