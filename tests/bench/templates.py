"""The real workflows that ComfyUI ships (`comfyui-workflow-templates-json`), and the API graphs that its front-end
makes of them: exported once, in real Chromium on a real ComfyUI, then kept in the bench's cache.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from comfy_capsule.packager.comfy import find_install

from .cache import building, cache_root
from .comfyui import bench_install
from .frontends import frontend_root
from .serving import running
from .system import browser

Json = dict[str, Any]
_PACKAGES = ("comfyui-frontend-package", "comfyui-workflow-templates-json")
_READY = "() => window.app?.extensionManager && window.app.canvas?.graph && !window.app.extensionManager.spinner"
_EXPORT = """async (graph) => {
  await app.loadGraphData(graph, true, false, null);
  document.querySelectorAll('[role=dialog] button[aria-label*=lose]').forEach((button) => button.click());
  const { workflow, output } = await app.graphToPrompt();
  return JSON.parse(JSON.stringify({ workflow, output })); }"""  # as a file would hold them: no NaN


class Declared(NamedTuple):
    """One model that a node of a template declares (``properties.models``)."""

    api_id: str  # of the node
    folder: str
    name: str


class Templates(NamedTuple):
    """Every template by name, and the node definitions of the ComfyUI that exported them.

    Attributes:
        workflows: as they are shipped.
        saved: as the front-end saves them; it gives some nodes inside subgraphs other ids than they are shipped with.
            Without those that it cannot open: front-end 1.53.10 stops at ``basic_image_color_adjustment``.
        graphs: the API graphs, with the ids of `saved`.
    """

    workflows: dict[str, Json]
    saved: dict[str, Json]
    graphs: dict[str, Json]
    object_info: Json


def templates(front_end: str = "") -> Templates:
    """The templates of the bench's ComfyUI; the first time it takes about three minutes, later a second.

    Args:
        front_end: the version that exports them; without one the ComfyUI's own.

    The definitions list the files that the templates declare, which lay empty in the models folders.
    """
    folder, versions = _package()
    if front_end:
        versions[0] = front_end
    workflows = _workflows(folder)
    final = cache_root() / "templates" / "-".join([*versions, hashlib.sha256(_EXPORT.encode()).hexdigest()[:8]])
    final.parent.mkdir(exist_ok=True)
    if not final.is_dir():
        with building(final) as place:
            if place is not None:
                lay_out(workflows, place / "models")
                object_info, exported = _export(workflows, place / "models", front_end)
                (place / "object_info.json").write_text(json.dumps(object_info))
                (place / "exported.json").write_text(json.dumps(exported))
    exported = json.loads((final / "exported.json").read_text())
    saved, graphs = ({name: each[key] for name, each in exported.items()} for key in ("workflow", "output"))
    return Templates(workflows, saved, graphs, json.loads((final / "object_info.json").read_text()))


def declared_models(workflow: Json) -> Iterator[Declared]:
    """What each instance of each node declares, with the id that the node has in the API graph."""
    definitions = {str(each["id"]): each for each in (workflow.get("definitions") or {}).get("subgraphs", ())}
    yield from _declared(workflow, definitions, ())


def _declared(graph: Json, definitions: dict[str, Json], path: tuple[str, ...]) -> Iterator[Declared]:
    for node in graph["nodes"]:
        here = (*path, str(node["id"]))
        for model in (node.get("properties") or {}).get("models") or ():
            yield Declared(":".join(here), model["directory"], model["name"])
        if str(node.get("type")) in definitions:
            yield from _declared(definitions[str(node["type"])], definitions, here)


def lay_out(workflows: dict[str, Json], models: Path) -> None:
    """An empty file in `models` for every model that any of `workflows` declares."""
    for workflow in workflows.values():
        for graph in (workflow, *((workflow.get("definitions") or {}).get("subgraphs", ()))):
            for node in graph["nodes"]:
                for model in (node.get("properties") or {}).get("models") or ():
                    path = models / model["directory"] / model["name"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()


def _package() -> tuple[Path, list[str]]:
    """The folder of the templates, and the versions that what is exported depends on."""
    site = [str(folder) for folder in find_install(bench_install()).site_packages]
    found = {canonicalize_name(item.metadata["Name"]): item for item in metadata.distributions(path=site)}
    folder = Path(str(found[_PACKAGES[1]].locate_file("comfyui_workflow_templates_json/templates")))
    return folder, [found[name].version for name in _PACKAGES]


def _workflows(folder: Path) -> dict[str, Json]:
    read = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    return {name: said for name, said in read.items() if isinstance(said, dict) and "nodes" in said}


@contextmanager
def template_editor(models: Path, front_end: str = "") -> Iterator[Any]:
    """A Playwright page with the editor open, of a ComfyUI whose models lie in `models`.

    Args:
        front_end: its version; without one the ComfyUI's own.
    """
    from playwright.sync_api import sync_playwright

    arguments = ["--models-directory", str(models)]
    if front_end:
        arguments += ["--front-end-root", str(frontend_root(front_end))]
    with running(bench_install(), extra_args=arguments) as comfy, sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = driver.chromium.launch(executable_path=str(browser()), args=flags)
        page = chromium.new_page()
        page.request.post(f"{comfy.base_url}/settings/Comfy.TutorialCompleted", data="true")
        page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        page.goto(comfy.base_url)
        page.wait_for_function(_READY, timeout=60_000)
        yield page
        chromium.close()


def each_in_editor(page: Any, workflows: dict[str, Json], script: str) -> dict[str, Json]:
    """What `script` gives for each workflow; those that the front-end cannot open are told and left out."""
    from playwright.sync_api import Error

    found = {}
    for name, workflow in workflows.items():
        try:
            found[name] = page.evaluate(script, workflow)
        except Error as error:
            print(f"{name} is not opened by this front-end: {error.message.splitlines()[0]}", file=sys.stderr)
    return found


def _export(workflows: dict[str, Json], models: Path, front_end: str) -> tuple[Json, dict[str, Json]]:
    with template_editor(models, front_end) as page:
        exported = each_in_editor(page, workflows, _EXPORT)
        # The page's own address has the open graph in its fragment.
        object_info: Json = page.evaluate("fetch('/object_info').then((answer) => answer.json())")
    return object_info, exported


def shipped_workflows() -> dict[str, Json]:
    """Every template by name, as it is shipped."""
    return _workflows(_package()[0])
