/**
 * What shows that a node is marked, on the classic canvas and in Vue nodes: a badge that counts, and an outline
 * around each marked widget. Nothing is added to the nodes' own elements, so nothing is lost when they are drawn again.
 */
import { marksOf, slotOf } from "./marks.mjs";
import { t } from "./strings.mjs";
import { accent } from "./theme.mjs";

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 */
export function createBadges(app, store) {
  const drawn = new WeakSet();
  const sheet = document.createElement("style");

  function badge(node) {
    void app.canvas?.state?.capsuleRevision; // see store.mjs: what the Vue renderer watches
    return new globalThis.LGraphBadge({ text: badgeText(node), fgColor: "#fff", bgColor: accent() });
  }

  function outlineMarked() {
    const rules = [];
    const shown = app.canvas?.graph;
    for (const { kind, node, widget } of store.entries) {
      if (kind === "input") outlineOnCanvas(node);
      if (kind === "input" && node.graph === shown) rules.push(...selectors(node, widget));
    }
    sheet.textContent = rules.length ? `${rules.join(",\n")} {
  outline: 1.5px solid ${accent()}; outline-offset: -1px; border-radius: 6px; }` : "";
  }

  function outlineOnCanvas(node) {
    if (drawn.has(node)) return;
    drawn.add(node);
    const before = node.onDrawForeground;
    node.onDrawForeground = function (context, ...rest) {
      before?.call(this, context, ...rest);
      if (!this.flags?.collapsed) drawOutlines(this, context);
    };
  }

  return {
    /** Give a new node its badge; it has no text, and so is not seen, until the node is marked. */
    attach(node) {
      // Pushed, never first: front-ends <= 1.52 leave the first badge out of Vue nodes.
      if (globalThis.LGraphBadge && node.badges) node.badges.push(() => badge(node));
    },
    listen() {
      document.head.append(sheet);
      store.subscribe(outlineMarked);
      // Node ids are local to the graph on screen, so the rules change when a subgraph is opened.
      app.canvas?.canvas?.addEventListener("litegraph:set-graph", () => outlineMarked());
    },
  };
}

/** @returns {string} e.g. "API: 2 in, out"; "" without marks */
export function badgeText(node) {
  if (!node.properties?.capsule) return "";
  const marks = marksOf(node);
  const count = Object.keys(marks.inputs).length;
  if (count && marks.output) return t("badge.both", { count });
  if (count) return t("badge.inputs", { count });
  return marks.output ? t("badge.output") : "";
}

function selectors(node, widget) {
  const row = `.lg-node[data-node-id="${CSS.escape(String(node.id))}"] [data-testid="node-widget"]`;
  const found = [`${row}[data-widget-name="${CSS.escape(widget)}"]`]; // 1.57 and newer
  const slot = slotOf(node, widget);
  if (slot >= 0) found.push(`${row}:has([data-slot-key$="-in-${slot}"])`);
  return found;
}

function drawOutlines(node, context) {
  const { inputs } = marksOf(node);
  context.save();
  context.strokeStyle = accent();
  context.lineWidth = 1.5;
  for (const widget of node.widgets ?? []) {
    if (!(widget.name in inputs) || widget.hidden || widget.y === undefined) continue;
    const height = widget.computedHeight ?? globalThis.LiteGraph.NODE_WIDGET_HEIGHT;
    context.beginPath();
    context.roundRect(8, widget.y - 1, node.size[0] - 16, height + 1, 8);
    context.stroke();
  }
  context.restore();
}
