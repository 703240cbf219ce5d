/**
 * What a mark sets: the `[API id, input]` pairs of its widget, found in the live graph. As packager/workflow/walk.py
 * finds them in files. An API id is the path of host ids and the node's own id, joined by ":".
 *
 * @typedef {[string, string]} Target
 */
import { INPUT_NODE, linkInto, PRIMITIVE } from "./widgets.mjs";

const OUTPUT_NODE = "-20", REROUTE = "Reroute"; // -20 is where a definition's outputs go
const DEEPEST = 64; // deeper nesting is a definition that holds itself

/** @returns {Map<any, any[][]>} each graph from the root down → the hosts above each of its instances */
export function pathsOf(root) {
  const paths = new Map();
  const visit = (graph, path) => {
    paths.set(graph, [...(paths.get(graph) ?? []), path]);
    if (path.length >= DEEPEST) return;
    for (const node of graph.nodes) if (node.isSubgraphNode?.()) visit(node.subgraph, [...path, node]);
  };
  visit(root, []);
  return paths;
}

/**
 * What the widget sets, in every instance of its node, and which of that a link feeds, so that no value stands there.
 * @returns {{targets: Target[], free: Target[]}}
 */
export function targetsOf(paths, node, widget) {
  const found = new Map();
  for (const path of paths.get(node.graph) ?? []) {
    for (const place of widgetTargets(node, path, widget)) found.set(keyOf(place), place);
  }
  const places = [...found.values()];
  return { targets: places.map(targetOf), free: places.filter((place) => !isFed(place)).map(targetOf) };
}

/** @returns {Target[]} what the widget sets in the one instance of its node that stands below the hosts `path` */
export const targetsAt = (path, node, widget) => [...widgetTargets(node, path, widget)].map(targetOf);

/** One place where a value may stand: an input of a node below the hosts `path`. */
const placeOf = (path, node, input) => ({ path, node, input });
const targetOf = ({ path, node, input }) => [[...path, node].map(({ id }) => id).join(":"), input];
const keyOf = (place) => targetOf(place).join("\n");

/** An ordinary node's widget sets itself, a PrimitiveNode's what it feeds, a host's the inner ones it stands for. */
function* widgetTargets(node, path, widget) {
  if (node.type === PRIMITIVE) {
    if (!widget.startsWith("control_")) yield* fedBy(node.graph, path, String(node.id), 0);
  } else if (node.isSubgraphNode?.()) {
    yield* promoted(node, path, widget);
  } else {
    yield placeOf(path, node, widget);
  }
}

/** Front-end 1.47 and later: through the definition's input of that name. Before: `proxyWidgets`. */
function* promoted(host, path, widget) {
  const inner = host.subgraph;
  if (!inner || path.length >= DEEPEST) return;
  const own = host.inputs?.find((input) => input.widget?.name === widget)?.name ?? widget;
  const slot = inner.inputs?.findIndex((input) => input.name === own) ?? -1;
  const linked = slot < 0 ? [] : [...fedBy(inner, [...path, host], INPUT_NODE, slot)];
  yield* linked;
  if (linked.length) return;
  for (const [id, name] of host.properties?.proxyWidgets ?? []) {
    const node = nodeOf(inner, id);
    if (node && [name, `${id}: ${name}`].includes(widget)) return yield* widgetTargets(node, [...path, host], name);
  }
}

const nodeOf = (graph, id) => graph.nodes.find((node) => String(node.id) === String(id));

/** The places that output `slot` of node `origin` sets, through reroutes, into hosts and out of them. */
function* fedBy(graph, path, origin, slot, depth = 0) {
  if (depth > DEEPEST) return;
  for (const link of graph.links.values()) {
    if (String(link.origin_id) !== origin || link.origin_slot !== slot) continue;
    if (String(link.target_id) === OUTPUT_NODE) {
      const host = path.at(-1);
      if (host) yield* fedBy(host.graph, path.slice(0, -1), String(host.id), link.target_slot, depth + 1);
      continue;
    }
    const node = nodeOf(graph, link.target_id);
    const input = node?.inputs?.[link.target_slot];
    if (node?.type === REROUTE) yield* fedBy(graph, path, String(node.id), 0, depth + 1);
    else if (node?.isSubgraphNode?.() && input) yield* promoted(node, path, input.widget?.name ?? input.name);
    else if (input) yield placeOf(path, node, input.widget?.name ?? input.name);
  }
}

/** Whether a node's output reaches the place: not a PrimitiveNode's, which is a value, nor a host's own widget. */
function isFed({ path, node, input }) {
  const index = node.inputs?.findIndex((each) => (each.widget?.name ?? each.name) === input) ?? -1;
  return index >= 0 && isSlotFed(node, index, path);
}

function isSlotFed(node, index, path, depth = 0) {
  const link = linkInto(node, index);
  if (!link || depth > DEEPEST) return false;
  if (String(link.origin_id) === INPUT_NODE) {
    const host = path.at(-1);
    const name = node.graph.inputs?.[link.origin_slot]?.name;
    const slot = host?.inputs?.findIndex((input) => input.name === name) ?? -1;
    return slot >= 0 && isSlotFed(host, slot, path.slice(0, -1), depth + 1);
  }
  const origin = nodeOf(node.graph, link.origin_id);
  if (origin?.type === REROUTE) return isSlotFed(origin, 0, path, depth + 1);
  return Boolean(origin) && origin.type !== PRIMITIVE;
}
