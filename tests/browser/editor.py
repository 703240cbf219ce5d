"""ComfyUI's graph editor, driven as a user drives it: real mouse, real keys, in either renderer."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page

_SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.58.1",
    "Comfy.EnableTooltips": False,
    "Comfy.UseNewMenu": "Top",
    "Comfy.Minimap.Visible": False,
}

_READY = "() => window.app?.extensionManager && window.app.canvas?.graph"
_IDLE = "() => !document.getElementById('splash-loader') && !window.app.extensionManager.spinner"
_LOAD = "async ([graph, name]) => { await app.loadGraphData(graph, true, true, name) }"
_LOOK = """() => { const d = app.canvas.ds; d.scale = 1; d.offset = [340, 120];
  for (const node of app.graph.nodes) node.flags.collapsed = false; app.canvas.setDirty(true, true) }"""
_ON_SCREEN = """([id, dx, widget]) => {
  const node = app.canvas.graph.getNodeById(id) ?? app.canvas.graph.nodes.find((n) => String(n.id) === String(id));
  const hit = (y) => node.getWidgetOnPos(node.pos[0] + dx, node.pos[1] + y, true)?.name === widget;
  const rows = widget ? [...Array(Math.ceil(node.size[1])).keys()].filter(hit) : [-14]; // a host's widgets know no y
  if (!rows.length) return app.canvas.setDirty(true, true); // not drawn yet: the next look finds it
  const dy = rows[Math.floor(rows.length / 2)];
  const [x, y] = app.canvas.ds.convertOffsetToCanvas([node.pos[0] + dx, node.pos[1] + dy]);
  const frame = app.canvas.canvas.getBoundingClientRect();
  return [x + frame.left, y + frame.top]; }"""
_BADGES = """() => Object.fromEntries(app.canvas.graph.nodes.map((n) => [String(n.id),
  n.badges.map((b) => (typeof b === 'function' ? b() : b).text).filter((t) => t?.startsWith('API')).join()]))"""
_MARKS = "() => Object.fromEntries(app.graph.nodes.map((n) => [String(n.id), n.properties.capsule ?? null]))"


class Editor:
    """One page with the editor open."""

    def __init__(self, page: Page, base_url: str, *, vue: bool) -> None:
        self.page = page
        self.vue = vue
        self._base_url = base_url
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        ours = "apsule" in message.text or "apsule" in message.location.get("url", "")
        if message.type in ("error", "warning") and ours and "net::" not in message.text:
            self.errors.append(message.text)

    def open(self, **settings: Any) -> Editor:
        """Load the editor, with settings made before."""
        for key, value in {**_SETTINGS, "Comfy.VueNodes.Enabled": self.vue, **settings}.items():
            headers = {"Content-Type": "application/json"}
            self.page.request.post(f"{self._base_url}/settings/{key}", data=json.dumps(value), headers=headers)
        self.page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        self.page.goto(self._base_url)
        self.page.wait_for_function(_READY)
        self.page.wait_for_function(_IDLE)
        assert self.page.evaluate("Boolean(LiteGraph.vueNodesMode)") == self.vue
        return self

    def load(self, graph: dict[str, Any], name: str | None = None) -> Editor:
        """Open a workflow, and put it beside the panel at its natural size."""
        self.page.evaluate(_LOAD, [graph, name])
        self.page.wait_for_timeout(300)
        self.page.evaluate(_LOOK)
        self.page.wait_for_timeout(300)
        return self

    def saved(self) -> dict[str, Any]:
        """The workflow as it would be saved."""
        return dict(self.page.evaluate("() => app.graph.serialize()"))

    # the graph

    def position(self, node: int, widget: str = "", *, dx: float = 60) -> tuple[float, float]:
        """Where a widget, or a node's title, is on the page."""
        if not self.vue:
            x, y = self.page.wait_for_function(_ON_SCREEN, arg=[node, dx, widget]).json_value()
            return x, y
        box = (self.row(node, widget) if widget else self.node(node).locator("[data-testid=node-title]")).bounding_box()
        assert box is not None
        return box["x"] + dx / 2, box["y"] + box["height"] / 2

    def node(self, node: int) -> Locator:
        """A Vue node's element."""
        return self.page.locator(f'.lg-node[data-node-id="{node}"]')

    def row(self, node: int, widget: str) -> Locator:
        """A Vue node's row of one widget."""
        rows = self.node(node).locator("[data-testid=node-widget]")
        return rows.filter(has_text=re.compile(f"^{re.escape(widget)}|{re.escape(widget)}$")).first

    def menu(self, node: int, widget: str = "") -> list[str]:
        """Right-click, and say what the menu offers."""
        self.page.mouse.click(*self.position(node, widget), button="right")
        self.page.wait_for_timeout(400)
        return [text.strip() for text in self._items().all_inner_texts()]

    def _items(self) -> Locator:
        return self.page.locator(".litecontextmenu .litemenu-entry, [role=menuitem]:visible")

    def choose(self, *items: str) -> None:
        """Click an item of the open menu, then one of its submenu."""
        for index, text in enumerate(items):
            item = self._items().filter(has_text=re.compile(f"^\\s*{re.escape(text)}\\s*$")).last
            if index < len(items) - 1 and self.vue:
                item.hover()
                self.page.wait_for_timeout(500)
                if self._items().filter(has_text=items[index + 1]).count() == 0:
                    item.click()
            else:
                item.click()
            self.page.wait_for_timeout(400)

    def mark_input(self, node: int, widget: str) -> None:
        """As a user does."""
        self.menu(node, widget)
        self.choose(f"API input: {widget}")

    def mark_output(self, node: int) -> None:
        """As a user does."""
        self.menu(node)
        self.choose("API output")

    def marks(self) -> dict[str, Any]:
        """What the nodes of the root graph keep, by id."""
        return dict(self.page.evaluate(_MARKS))

    def badges(self) -> dict[str, str]:
        """The text of our badge on each node, by id: as drawn in Vue nodes, as it would be drawn on the canvas."""
        if not self.vue:
            return dict(self.page.evaluate(_BADGES))
        nodes = self.page.locator(".lg-node").all()
        texts = {str(node.get_attribute("data-node-id")): node.inner_text() for node in nodes}
        return {key: (re.findall(r"API: .*", text) or [""])[0] for key, text in texts.items()}

    def press(self, keys: str) -> None:
        """A key for the canvas, the mouse over an empty place of it; a click could select what lies there."""
        self.page.evaluate("() => document.activeElement?.blur()")
        self.page.mouse.move(700, 640)
        self.page.keyboard.press(keys)
        self.page.wait_for_timeout(600)

    def undo_until(self, names: list[str]) -> None:
        """Press Ctrl+Z until the panel lists `names`: older Vue nodes make steps of their own when measured."""
        for _ in range(4):
            if self.listed() == names:
                return
            self.press("Control+z")
        assert self.listed() == names

    # the panel

    @property
    def panel(self) -> Locator:
        return self.page.locator("section.comfy-capsule")

    def open_panel(self) -> Locator:
        """By its button in the side bar."""
        self.page.locator(".capsule-tab-button, [data-testid=capsule-tab-button]").first.click()
        self.panel.wait_for()
        return self.panel

    def listed(self) -> list[str]:
        """The names in the panel's list, in order."""
        return [str(field.input_value()) for field in self.panel.locator(".cc-name").all()]
