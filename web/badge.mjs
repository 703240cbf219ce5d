/**
 * What shows that a node is marked, on the classic canvas and in Vue nodes: a badge that counts, and an outline
 * around each marked widget, of another colour where the mark has a problem. Nothing is added to the nodes' own
 * elements, so nothing is lost when they are drawn again.
 */
import { marksOf } from "./marks.mjs";
import { t } from "./strings.mjs";
import { accent, alarm } from "./theme.mjs";
import { slotOf } from "./widgets.mjs";

const GAP = 4; // LiteGraph's space below a widget, which computedHeight counts in

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 */
export function createBadges(app, store) {
  const drawn = new WeakSet();
  const sheet = document.createElement("style");
  /** The widgets of each node whose marks have a problem; "" stands for its output. */
  let wrong = new Map();

  function badge(node) {
    void app.canvas?.state?.capsuleRevision; // see store.mjs: what the Vue renderer watches
    const current = currentNode(app, node);
    const text = badgeText(current);
    const bad = text && wrong.has(current);
    return new globalThis.LGraphBadge({ text: bad ? `${text} ⚠` : text, fgColor: "#fff", bgColor: bad ? alarm() : accent() });
  }

  function outlineMarked() {
    const rules = { good: [], bad: [] };
    const shown = app.canvas?.graph;
    wrong = new Map();
    for (const { kind, node, widget, own, problem } of store.entries) {
      if (own) continue; // an API node shows by itself what it is
      if (problem) wrong.set(node, (wrong.get(node) ?? new Set()).add(widget));
      if (kind === "input") outlineOnCanvas(node);
      if (kind === "input" && node.graph === shown) rules[problem ? "bad" : "good"].push(...selectors(node, widget));
    }
    sheet.textContent = outlineRule(rules.good, accent()) + outlineRule(rules.bad, alarm());
  }

  function outlineOnCanvas(node) {
    if (drawn.has(node)) return;
    drawn.add(node);
    const before = node.onDrawForeground;
    node.onDrawForeground = function (context, ...rest) {
      before?.call(this, context, ...rest);
      if (!this.flags?.collapsed) drawOutlines(this, context, wrong.get(this));
    };
  }

  return {
    /** Give a new node its badge; it has no text, and so is not seen, until the node is marked. */
    attach(node) {
      if (!globalThis.LGraphBadge || !node.badges) return;
      // Never first: front-ends <= 1.52 leave the first badge, which is their own, out of Vue nodes. A PrimitiveNode has none.
      if (node.badges.length === 0) node.badges.push(() => new globalThis.LGraphBadge({ text: "" }));
      node.badges.push(() => badge(node));
    },
    listen() {
      document.head.append(sheet);
      store.subscribe(outlineMarked);
      // Node ids are local to the graph on screen, so the rules change when a subgraph is opened.
      app.canvas?.canvas?.addEventListener("litegraph:set-graph", () => outlineMarked());
    },
  };
}

/** After undo, Vue nodes of front-ends <= 1.52 keep the badges of the node that was there before, of the same id. */
function currentNode(app, node) {
  const current = app.canvas?.graph?.getNodeById?.(node.id);
  return current?.type === node.type ? current : node;
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

/** A ring drawn after the row's own controls, which would cover a plain outline; it takes no clicks and no room. */
const outlineRule = (rows, color) => rows.length === 0 ? "" : `:is(${rows.join(",\n")}) { position: relative;
  &::after { content: ""; position: absolute; inset: -1px 0 -1px 3px; z-index: 11; border: 1.5px solid ${color};
    border-radius: 8px; pointer-events: none; } }`;

function drawOutlines(node, context, wrong) {
  const { inputs } = marksOf(node);
  const [good, bad] = [accent(), alarm()];
  context.save();
  context.lineWidth = 1.5;
  for (const widget of node.widgets ?? []) {
    if (!(widget.name in inputs) || widget.hidden || widget.y === undefined) continue;
    const height = widget.computedHeight ? widget.computedHeight - GAP : globalThis.LiteGraph.NODE_WIDGET_HEIGHT;
    context.strokeStyle = wrong?.has(widget.name) ? bad : good;
    context.beginPath();
    context.roundRect(12, widget.y - 2, node.size[0] - 24, height + 4, 12);
    context.stroke();
  }
  context.restore();
}
