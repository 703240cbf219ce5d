"""The pack in a ComfyUI: whatever its folder is called, without its packages, at no cost."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench import RunningComfy, fresh_install, running
from bench.frontends import frontend_root
from browser.editor import Editor
from browser.frontends import versions
from browser.packs import clone_ourselves

NAMES = ("comfy-capsule", "comfy_capsule", "my.pack")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, origin: Path) -> Path:
    """A ComfyUI in which none of the pack's packages are installed."""
    folder = fresh_install(tmp_path_factory.mktemp("bare") / "ComfyUI")
    for pattern in ("tomlkit*", "uv", "uv-*"):
        for found in (folder / ".venv/lib").glob(f"python*/site-packages/{pattern}"):
            found.rename(folder / f"removed-{found.name}")
    clone_ourselves(origin, folder, NAMES[0])
    return folder


@pytest.fixture(scope="module", params=NAMES)
def named(request: pytest.FixtureRequest, bare: Path) -> Iterator[RunningComfy]:
    """It running, with the pack in a folder of each name."""
    nodes = bare / "custom_nodes"
    present = next(name for name in NAMES if (nodes / name).exists())
    (nodes / present).rename(nodes / request.param)
    with running(bare, extra_args=["--front-end-root", str(frontend_root(versions()[-1]))]) as comfy:
        yield comfy


def test_it_loads_at_no_cost_under_any_name(named: RunningComfy, page: Page) -> None:
    lines = [line for line in named.process.lines if re.search(r"seconds.*custom_nodes/(comfy|my)", line)]
    assert len(lines) == 1, lines
    assert re.search(r"\s0\.0 seconds: ", lines[0]), lines[0]

    name = Path(lines[0].strip()).name
    address = f"{named.base_url}/extensions/{name}/panel.mjs"
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "javascript" in answer.headers["Content-Type"]

    # without its packages: marks work, and the panel shows the line that installs them
    editor = Editor(page, named.base_url, vue=True).open()
    graph = {
        "nodes": [{"id": 1, "type": "EmptyImage", "pos": [40, 40], "size": [270, 130]}],
        "links": [],
        "version": 0.4,
    }
    editor.load(graph).open_panel()
    editor.mark_input(1, "width")
    assert editor.listed() == ["width"]
    line = editor.panel.locator("code").inner_text()
    assert re.fullmatch(r'"[^"]+python[^"]*" -m pip install -r "[^"]+requirements\.txt"', line)
    assert os.path.samefile(line.split('"')[3], Path(named.install.root, "custom_nodes", name, "requirements.txt"))
    expect(editor.panel.get_by_test_id("capsule-export")).to_have_count(0)
    editor.page.locator("[data-testid=action-bar-buttons]").get_by_role("button", name=re.compile("capsule")).click()
    expect(editor.panel).to_contain_text("One step is left")
    assert editor.errors == []


def test_nothing_of_the_panel_is_fetched_before_it_is_opened(named: RunningComfy, page: Page) -> None:
    sizes: dict[str, int] = {}
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}) if _ours(answer.url) else None)
    Editor(page, named.base_url, vue=False).open()
    assert any(url.endswith("/capsule.js") for url in sizes)
    assert not any(url.endswith("panel.mjs") for url in sizes)
    assert sum(sizes.values()) < 60_000, sizes
    assert not [url for url in asked if "/capsule/" in url]


def _ours(url: str) -> bool:
    return bool(re.search(r"/extensions/(comfy.capsule|my\.pack)/", url))


def test_other_hosts_and_sites_are_refused(named: RunningComfy) -> None:
    def status(**headers: str) -> int:
        request = urllib.request.Request(f"{named.base_url}/api/capsule/status", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status() == 200
    rebound = "evil.example:8188"
    assert status(Host=rebound, Origin=f"http://{rebound}") == 403
    assert status(Origin="http://evil.example") == 403
    assert status(**{"X-Forwarded-For": "10.0.0.1"}) == 403
