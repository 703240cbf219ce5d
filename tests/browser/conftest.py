"""A real ComfyUI with our pack cloned into it, every front-end under test, and real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench import RunningComfy, fresh_install, running
from bench.frontends import frontend_root
from bench.system import browser
from browser.editor import Editor
from browser.frontends import versions
from browser.packs import clone_ourselves, install_requirements, publish_ourselves

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "browser"


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository of this working tree."""
    return publish_ourselves(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory, origin: Path) -> Path:
    """A ComfyUI with the pack and what it needs."""
    folder = fresh_install(tmp_path_factory.mktemp("browser") / "ComfyUI")
    clone_ourselves(origin, folder)
    install_requirements(folder)
    return folder


@pytest.fixture(scope="session", params=versions())
def comfy(request: pytest.FixtureRequest, comfyui: Path) -> Iterator[RunningComfy]:
    """It running, with each front-end in turn; one at a time."""
    with running(comfyui, extra_args=["--front-end-root", str(frontend_root(request.param))]) as comfy:
        yield comfy


# One browser a module: Playwright's loop must have ended before other folders' async tests run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(browser()), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


@pytest.fixture(params=[False, True], ids=["canvas", "vue"])
def editor(request: pytest.FixtureRequest, page: Page, comfy: RunningComfy) -> Iterator[Editor]:
    """The editor open, in each renderer; what it saw is kept, and an error of ours in its console fails the test."""
    editor = Editor(page, comfy.base_url, vue=request.param).open()
    yield editor
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    assert editor.errors == []
