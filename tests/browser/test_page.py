"""The gateway's own page in real Chromium, in front of a real ComfyUI: run, watch, cancel, come back, sign in."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bench import UPSCALE, RunningComfy, bench_install, running
from bench.chaos import counting_install, trouble_capsule
from bench.gateway import Gateway, blank_capsule, serving
from bench.pictures import example_picture
from comfy_capsule.packager.capsule import write_capsule
from comfy_capsule.packager.contract import build_contract

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "browser"
MARKS = {
    "1": {"image": {"name": "picture", "title": "Picture", "description": "What to enlarge.", "required": True}},
    "4": {
        "colour": {"name": "colour", "title": "Colour"},
        "strength": {"name": "strength", "title": "Strength", "description": "How much of the colour is mixed in."},
        "levels": {"name": "levels", "title": "Levels"},
    },
    "5": {"filename_prefix": {"name": "prefix", "title": "Name of the file"}},
}


def described() -> dict[str, Any]:
    """The bench's workflow with an API of five inputs in two groups."""
    ui = UPSCALE.ui
    for node in ui["nodes"]:
        marks: dict[str, Any] = {"v": 1, "inputs": MARKS.get(str(node["id"]), {})}
        node.setdefault("properties", {})["capsule"] = {
            **marks,
            **({"output": {"name": "image"}} if node["id"] == 5 else {}),
        }
    places = [{"name": "picture"}, *({"name": name, "group": "Look"} for name in ("colour", "strength", "levels"))]
    ui["extra"] = {"capsule": {"v": 1, "title": "Enlarge and tint", "description": "Twice as large.", "inputs": places}}
    return ui


def slow() -> dict[str, Any]:
    """Some hundred steps of enlarging: time enough to look and to cancel."""
    graph = UPSCALE.api
    graph["1"] = {"class_type": "EmptyImage", "inputs": {"width": 4096, "height": 4096, "batch_size": 1, "color": 255}}
    return graph


@pytest.fixture(scope="module")
def plain() -> Iterator[RunningComfy]:
    """A ComfyUI without our pack."""
    with running(bench_install()) as comfy:
        yield comfy


@pytest.fixture(scope="module")
def capsules(plain: RunningComfy, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    with urllib.request.urlopen(f"{plain.base_url}/object_info") as answer:
        info = json.load(answer)
    folder = tmp_path_factory.mktemp("capsules")
    paths = []
    for name, ui, graph in (("enlarge", described(), UPSCALE.api), ("slow", None, slow())):
        lock = blank_capsule().lock.model_copy(update={"name": name})
        capsule = blank_capsule(lock=lock, graph=graph, contract=build_contract(name, ui, graph, info))
        paths.append(folder / f"{name}.capsule.zip")
        write_capsule(capsule, paths[-1])
    return paths


@pytest.fixture(scope="module")
def gateway(plain: RunningComfy, capsules: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(capsules, plain.base_url, tmp_path_factory.mktemp("page") / "state") as gateway:
        gateway.wait_ready()
        yield gateway


@pytest.fixture
def opened(page: Page, gateway: Gateway) -> Iterator[Page]:
    """The page of `enlarge`; anything that its console complains of fails the test."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" and "422" not in said.text else None
    )
    page.goto(gateway.url)
    expect(page.get_by_role("heading", name="Enlarge and tint")).to_be_visible()
    yield page
    assert faults == []


def shoot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"page-{name}.png", full_page=True)


def give_picture(page: Page) -> None:
    picture = {"name": "cat.png", "mimeType": "image/png", "buffer": example_picture()}
    page.locator("#field-picture").set_input_files(picture)


def test_a_run_is_made_from_the_form_and_found_again(opened: Page, gateway: Gateway) -> None:
    expect(opened.get_by_role("status")).to_have_text("Ready")
    opened.get_by_role("button", name="Run").click()
    assert opened.evaluate("() => document.querySelector('#field-picture').validity.valueMissing"), "it is required"
    give_picture(opened)
    opened.get_by_label("Colour").select_option("blue")
    opened.get_by_label("Strength").fill("0.75")
    assert opened.locator("[data-name=strength] input[type=range]").input_value() == "0.75"
    shoot(opened, "form")
    opened.get_by_role("button", name="Run").click()
    expect(opened.get_by_role("heading", name="Done")).to_be_visible(timeout=60_000)
    result = opened.locator("figure img")
    expect(result).to_have_count(1)
    assert result.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") > 0
    expect(opened.locator(".history li")).to_have_count(1)
    shoot(opened, "done")

    id = opened.url.rpartition("/")[2]
    sent = gateway.ask("GET", f"/executions/{id}")[1]["parameters"]
    assert (sent["colour"], sent["strength"]) == ("blue", 0.75)
    opened.get_by_text("Use it from a program").click()
    expect(opened.locator(".snippets pre")).to_contain_text('"colour":"blue"')
    opened.get_by_role("button", name="Python").click()
    expect(opened.locator(".snippets pre")).to_contain_text("urllib.request")

    opened.reload()
    expect(opened.get_by_role("heading", name="Done")).to_be_visible()
    opened.get_by_role("button", name="Use these inputs").click()
    assert opened.get_by_label("Strength").input_value() == "0.75"
    opened.get_by_role("button", name="Run").click()
    expect(opened.locator(".history li")).to_have_count(2, timeout=60_000)


def test_what_the_gateway_refuses_is_told_beside_its_field(opened: Page) -> None:
    give_picture(opened)
    opened.evaluate("() => { document.querySelector('form').noValidate = true }")
    opened.get_by_label("Levels").fill("1")
    opened.get_by_role("button", name="Run").click()
    wrong = opened.locator("[data-name=levels] .problem")
    expect(wrong).to_contain_text("2")
    assert opened.get_by_label("Levels").get_attribute("aria-invalid") is not None
    shoot(opened, "refused")
    opened.get_by_label("Levels").fill("16")
    expect(wrong).to_be_empty()


def test_a_run_is_watched_left_found_again_and_cancelled(opened: Page) -> None:
    opened.get_by_label("Workflow").select_option("slow")
    opened.get_by_role("button", name="Run").click()
    expect(opened.get_by_role("heading", name="Running")).to_be_visible()
    expect(opened.locator(".progress .note")).to_contain_text("of", timeout=60_000)
    expect(opened.locator(".progress .note")).to_contain_text("Upscale")
    shoot(opened, "running")
    opened.reload()
    expect(opened.get_by_role("heading", name="Running")).to_be_visible()
    opened.get_by_role("button", name="Cancel").click()
    expect(opened.get_by_role("heading", name="Cancelled")).to_be_visible(timeout=60_000)


def test_it_is_usable_on_a_phone_in_the_dark_and_by_keyboard(opened: Page) -> None:
    opened.emulate_media(color_scheme="dark")
    opened.set_viewport_size({"width": 380, "height": 800})
    assert opened.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    shoot(opened, "phone-dark")
    opened.locator("body").press("Tab")
    seen = set()
    for _ in range(40):
        seen.add(opened.evaluate("() => document.activeElement.id || document.activeElement.textContent"))
        opened.keyboard.press("Tab")
    assert {"field-picture", "field-colour", "field-strength", "field-levels", "field-prefix", "Run"} <= seen


def test_what_a_run_has_so_far_is_shown(page: Page, tmp_path: Path) -> None:
    write_capsule(trouble_capsule(), tmp_path / "trouble.capsule.zip")
    install = counting_install(tmp_path / "ComfyUI")
    with serving([tmp_path / "trouble.capsule.zip"], install, tmp_path / "state") as gateway:
        gateway.wait_ready()
        page.goto(gateway.url)
        page.get_by_label("kind").select_option("previews")
        page.get_by_role("button", name="Run").click()
        preview = page.get_by_role("img", name="Preview")
        expect(preview).to_be_visible(timeout=20_000)
        assert preview.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") == 64
        shoot(page, "preview")
        expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=20_000)
        expect(preview).to_have_count(0)


def test_the_api_can_be_read(opened: Page) -> None:
    opened.get_by_role("link", name="API").click()
    run = opened.locator("#runEnlarge")
    expect(run.get_by_role("heading", name="/workflows/enlarge", exact=False).first).to_be_visible()
    expect(run).to_contain_text("Idempotency-Key")
    run.get_by_role("link", name="EnlargeExecution").first.click()
    expect(opened.locator("#schema-EnlargeExecution")).to_be_in_viewport()
    shoot(opened, "docs")
    opened.set_viewport_size({"width": 380, "height": 800})
    assert opened.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_key_is_traded_for_a_session(page: Page, plain: RunningComfy, capsules: list[Path], tmp_path: Path) -> None:
    with serving(
        capsules[:1], plain.base_url, tmp_path / "state", env={"COMFY_CAPSULE_API_KEYS": "ann secret-a"}
    ) as gateway:
        gateway.wait_ready()
        page.goto(gateway.url)
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        shoot(page, "sign-in")
        page.get_by_label("API key").fill("secret-a")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Enlarge and tint")).to_be_visible()
        assert page.evaluate("() => document.cookie") == ""
        give_picture(page)
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        assert page.request.get(f"{gateway.url}/workflows").status == 401
