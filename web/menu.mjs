/** The items of a node's context menu: mark the widget under the pointer, any widget by list, or the node as output. */
import { isApiNode } from "./apinodes.mjs";
import { marksOf } from "./marks.mjs";
import { t } from "./strings.mjs";
import { findWidget, isLinked, isOutputNode, markableWidgets, PRIMITIVE } from "./widgets.mjs";

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 */
export function createMenu(app, store) {
  /** What a right click in a Vue node hit, noted just before the front-end builds its menu. */
  let hit = { node: "", widget: "" };

  function noteHit(event) {
    const row = event.composedPath()[0]?.closest?.('[data-testid="node-widget"]');
    const id = row?.closest("[data-node-id]")?.dataset.nodeId ?? "";
    hit = { node: id, widget: row ? widgetOfRow(app, id, row) : "" };
  }

  function widgetUnderPointer(node) {
    if (globalThis.LiteGraph?.vueNodesMode) return String(node.id) === hit.node ? hit.widget : "";
    const [x, y] = app.canvas.graph_mouse;
    return node.getWidgetOnPos?.(x, y, true)?.name ?? "";
  }

  return {
    listen: () => document.addEventListener("contextmenu", noteHit, true),

    /** Whether there is something on the node that could be marked. */
    canMark: (node) => Boolean(node?.comfyClass ?? node?.isSubgraphNode) && !isApiNode(node) && (markableWidgets(node).length > 0 || isOutputNode(node)),

    /** Pure and cheap: the front-end asks several times for one click. */
    itemsFor(node) {
      if (isApiNode(node)) return [];
      const marks = marksOf(node);
      const widgets = markableWidgets(node);
      const items = [];
      const under = widgets.find((widget) => widget.name === widgetUnderPointer(node));
      if (under) items.push(widgetItem(store, node, under, marks));
      if (under && under.name in marks.inputs) items.push(editItem(store, node, under));
      if (widgets.length) items.push(listItem(store, node, widgets, marks));
      if (isOutputNode(node)) items.push(outputItem(store, node, marks));
      return items.length ? [null, ...items] : [];
    },
  };
}

/**
 * @returns {string} the widget's name: by the row's own word (1.57 and newer), by the slot beside it, or, where a node
 *   has no slots for its widgets, as a PrimitiveNode, by the place of the row
 */
function widgetOfRow(app, nodeId, row) {
  if (row.dataset.widgetName) return row.dataset.widgetName;
  const node = app.canvas.graph?.nodes.find((each) => String(each.id) === nodeId);
  const slot = row.querySelector("[data-slot-key]")?.dataset.slotKey ?? "";
  const index = Number(/-in-(\d+)$/.exec(slot)?.[1] ?? -1);
  if (index >= 0 || node?.type !== PRIMITIVE) return node?.inputs?.[index]?.widget?.name ?? "";
  const rows = [...row.closest("[data-node-id]").querySelectorAll('[data-testid="node-widget"]')];
  return node.widgets?.filter((widget) => !widget.hidden)[rows.indexOf(row)]?.name ?? "";
}

const labelOf = (widget) => widget.label || widget.name;

function widgetItem(store, node, widget, marks) {
  const marked = widget.name in marks.inputs;
  return {
    content: t(marked ? "menu.removeInput" : "menu.addInput", { widget: labelOf(widget) }),
    disabled: !marked && isLinked(node, widget.name),
    callback: () => store.toggleInput(node, widget.name, !marked),
  };
}

function editItem(store, node, widget) {
  return {
    content: t("menu.editInput", { widget: labelOf(widget) }),
    async callback() {
      const { editEntry } = await import("./dialog.mjs"); // nothing of it is fetched before it is opened
      editEntry(store, store.entries.find((entry) => entry.node === node && entry.widget === widget.name));
    },
  };
}

function listItem(store, node, widgets, marks) {
  const gone = Object.keys(marks.inputs).filter((name) => !findWidget(node, name));
  const names = [...widgets, ...gone.map((name) => ({ name }))];
  return {
    content: t("menu.inputs"),
    has_submenu: true, // both are needed: Vue menus look at `submenu` only where this is set
    submenu: {
      options: names.map((widget) => {
        const marked = widget.name in marks.inputs;
        return {
          content: marked ? `✓ ${labelOf(widget)}` : labelOf(widget),
          disabled: !marked && isLinked(node, widget.name),
          callback: () => store.toggleInput(node, widget.name, !marked),
        };
      }),
    },
  };
}

function outputItem(store, node, marks) {
  const marked = Boolean(marks.output);
  return {
    content: t(marked ? "menu.removeOutput" : "menu.addOutput"),
    callback: () => store.toggleOutput(node, !marked),
  };
}
