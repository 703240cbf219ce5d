"""API nodes in the editor: in the panel by being there, renamed and copied, and the engine reads the same of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from bench import RunningComfy, bench_install
from browser.editor import Editor
from comfy_capsule.packager.contract import build_contract
from comfy_capsule.packager.workflow import API_INPUTS, API_OUTPUTS

EXAMPLES = sorted((Path(__file__).parents[2] / "example_workflows").glob("*.json"))
EXAMPLE = EXAMPLES[0].with_name("resize-a-photo.json")
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
    for name in (*API_INPUTS, *API_OUTPUTS):
        help_page = example.page.request.get(f"{comfy.base_url}/extensions/comfy-capsule/docs/{name}.md")
        assert help_page.text().startswith("# API")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_each_example_runs_as_it_is(editor: Editor, comfy: RunningComfy, file: Path) -> None:
    picture = (bench_install() / "input/example.png").read_bytes()  # a checkout of ComfyUI has it, the bench's not
    form = {"image": {"name": "example.png", "mimeType": "image/png", "buffer": picture}}
    editor.page.request.post(f"{comfy.base_url}/upload/image", multipart=form)
    editor.load(json.loads(file.read_text()))
    outputs = editor.page.evaluate(
        """async () => {
          const body = JSON.stringify({ prompt: (await app.graphToPrompt()).output });
          const headers = { "Content-Type": "application/json" };
          const { prompt_id, node_errors } = await (await fetch("/prompt", { method: "POST", headers, body })).json();
          if (Object.keys(node_errors ?? {}).length) return node_errors; // it runs what is left
          for (let looks = 0; looks < 300; looks++) {
            const found = (await (await fetch(`/history/${prompt_id}`)).json())[prompt_id];
            if (found) return found.status.status_str === "success" ? found.outputs : found.status;
            await new Promise((done) => setTimeout(done, 200));
          }
        }"""
    )
    ends = [node["id"] for node in json.loads(file.read_text())["nodes"] if node["type"] in API_OUTPUTS]
    assert set(outputs) == {str(end) for end in ends}, outputs
    if file.stem == "animate-a-photo":
        assert outputs["8"]["capsule_json"] == [{"order": 17, "tags": ["demo"]}]
        assert outputs["7"]["images"][0]["filename"].endswith(".webp")


def test_sounds_have_a_player_and_any_file_can_be_uploaded(editor: Editor, tmp_path: Path) -> None:
    file = tmp_path / "my table.csv"
    file.write_text("a,b\n")
    editor.page.evaluate("() => app.graph.clear()")
    kinds = ("CapsuleAudio", "CapsuleVideo", "CapsuleFile", "CapsuleOutputAudio")
    widgets = editor.page.evaluate(
        """(kinds) => kinds.map((kind, at) => {
          const node = LiteGraph.createNode(kind);
          node.pos = [100 + 300 * at, 150];
          app.graph.add(node);
          return node.widgets.map((w) => w.name);
        })""",
        list(kinds),
    )
    editor.page.wait_for_timeout(500)
    assert [name for name in widgets[0] if name in ("audio", "audioUI", "upload")] == ["audio", "audioUI", "upload"]
    assert {"video", "upload"} <= set(widgets[1])
    assert {"file", "upload"} <= set(widgets[2])
    assert "audioUI" in widgets[3]
    with editor.page.expect_file_chooser() as chooser:
        editor.page.evaluate(
            "() => { const node = app.graph.nodes.find((n) => n.type === 'CapsuleFile');"
            " node.widgets.find((w) => w.name === 'upload').callback(); }"
        )
    chooser.value.set_files(file)
    editor.page.wait_for_function(
        "() => app.graph.nodes.find((n) => n.type === 'CapsuleFile').widgets"
        ".find((w) => w.name === 'file').value.endsWith('table.csv')"
    )
    sent = editor.page.evaluate("async () => (await app.graphToPrompt()).output")
    (given,) = (entry["inputs"] for entry in sent.values() if entry["class_type"] == "CapsuleFile")
    assert given["file"].endswith("table.csv")
    assert "upload" not in given
    (given,) = (entry["inputs"] for entry in sent.values() if entry["class_type"] == "CapsuleAudio")
    assert "audioUI" not in given


def test_a_value_that_is_no_json_is_shown_in_the_panel(editor: Editor) -> None:
    graph = json.loads(EXAMPLE.with_name("animate-a-photo.json").read_text())
    (node,) = (node for node in graph["nodes"] if node["type"] == "CapsuleJSON")
    node["widgets_values"][1] = node["widgets_values_named"]["value"] = "{'order': 17}"
    editor.load(graph)
    editor.open_panel()
    told = [text for text in editor.panel.locator(".cc-problem").all_inner_texts() if text.strip()]
    assert told == ["This is not JSON: names and texts stand in double quotes."]
