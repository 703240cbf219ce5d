/**
 * ComfyUI's own selection of app inputs and outputs (App Mode), read in every form that `extra.linearData` has had, and
 * written in the one that the running front-end knows. As packager/workflow/app_mode.py reads it from files.
 *
 * `{inputs: [[id, widget] | [id, widget, {height?, description?}]], outputs: [id]}`; an id is `12`, `"12"`,
 * `"<graph>:<node>:<widget>"` (front-end 1.46 and newer; percent-encoded since 1.47) or `"<graph>:<node>"`.
 */
import { everyNode } from "./marks.mjs";
import { targetsAt } from "./targets.mjs";
import { findWidget } from "./widgets.mjs";

/** @returns {{inputs: {node: any, widget: string, description: string}[], outputs: any[], unresolved: number}} */
export function readSelection(graph) {
  const data = graph?.extra?.linearData;
  const entries = [data?.inputs, data?.outputs].map((list) => (Array.isArray(list) ? list : []));
  const inputs = entries[0].map((entry) => inputOf(graph, entry));
  const outputs = entries[1].map((entry) => rootNode(graph, localId(String(entry))));
  return {
    inputs: unique(inputs, ({ node, widget }) => `${node.graph?.id} ${node.id} ${widget}`),
    outputs: unique(outputs, (node) => String(node.id)),
    unresolved: [...inputs, ...outputs].filter((each) => !each).length,
  };
}

const unique = (found, keyOf) => [...new Map(found.filter(Boolean).map((each) => [keyOf(each), each])).values()];

const localId = (text) => (text.includes(":") ? decoded(text.split(":")[1]) : text);
const rootNode = (graph, id) => graph.nodes.find((node) => String(node.id) === id);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // front-end 1.46 wrote it as it is
  }
}

function inputOf(graph, entry) {
  if (!Array.isArray(entry) || entry.length < 2) return null;
  const text = String(entry[0]);
  const [owner, , ...rest] = text.split(":");
  const widget = rest.length ? decoded(rest.join(":")) : String(entry[1]);
  const description = String(entry[2]?.description ?? "");
  const id = localId(text);
  const node = (text.includes(":") && innerNode(graph, owner, id)) || rootNode(graph, id);
  if (node) return findWidget(node, widget) ? { node, widget, description } : null;
  const promoted = promotedBy(graph, id, widget);
  return promoted && { ...promoted, description };
}

const innerNode = (graph, owner, id) =>
  [...everyNode(graph)].find((node) => String(node.id) === id && node.graph !== graph && String(node.graph?.id) === owner);

/** Up to front-end 1.46 a promoted widget stands by its inner node's id: the host that shows it is meant. */
function promotedBy(graph, id, widget) {
  for (const host of graph.nodes.filter((each) => each.isSubgraphNode?.())) {
    const inner = rootNode(host.subgraph, id);
    const meant = inner ? targetsAt([host], inner, widget).map(String) : [];
    const sets = (name) => {
      const own = new Set(targetsAt([], host, name).map(String));
      return meant.every((target) => own.has(target));
    };
    const shown = meant.length > 0 && (host.widgets ?? []).find(({ name }) => sets(name));
    if (shown) return { node: host, widget: shown.name };
    const isProxy = ([proxied, name]) => String(proxied) === id && name === widget;
    if (meant.length && host.properties?.proxyWidgets?.some?.(isProxy)) return { node: inner, widget }; // several have its name
  }
  return null;
}

/**
 * Write the entries of the root graph as App Mode's selection; it has no place for those inside subgraphs.
 * @param {import("./marks.mjs").Entry[]} entries
 * @param {string} version of the front-end
 * @returns {number} how many were left out
 */
export function writeSelection(graph, entries, version) {
  const [major, minor] = version.split(".").map(Number);
  const since = (first) => major > 1 || minor >= first;
  const idOf = (node) => (since(47) ? String(node.id) : Number.isNaN(Number(node.id)) ? node.id : Number(node.id));
  const fits = (node) => rootNode(graph, String(node.id)) === node && (since(47) || !node.isSubgraphNode?.());
  const atRoot = entries.filter(({ node, problem }) => fits(node) && !problem);
  const inputs = atRoot.filter(({ kind }) => kind === "input").map(({ node, widget, mark }) => {
    const id = since(47) ? [graph.id, node.id, widget].map((part) => encodeURIComponent(String(part))).join(":") : idOf(node);
    return mark.description && since(48) ? [id, widget, { description: mark.description }] : [id, widget];
  });
  const outputs = atRoot.filter(({ kind }) => kind === "output").map(({ node }) => idOf(node));
  graph.extra ??= {};
  graph.extra.linearData = { inputs, outputs };
  return entries.length - atRoot.length;
}
