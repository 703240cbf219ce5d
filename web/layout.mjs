/**
 * How the API is laid out: what it is called, and the order and groups of its inputs and outputs. It stands in the
 * root graph's `extra.capsule`; what it does not name comes after, in the order of the graph. Pure, as marks are.
 *
 * @typedef {{name: string, group?: string}} Place
 * @typedef {{v: 1, title?: string, description?: string, inputs: Place[], outputs: Place[]}} Layout
 */

export const KEY = "capsule";

const listOf = (kind) => `${kind}s`;
const isPlace = (place) => typeof place?.name === "string";

/** @returns {Layout} what is malformed reads as nothing said */
export function layoutOf(graph) {
  const stored = graph?.extra?.[KEY];
  const layout = { v: 1, inputs: [], outputs: [] };
  if (stored?.v !== 1) return layout;
  for (const key of ["title", "description"]) if (typeof stored[key] === "string") layout[key] = stored[key];
  for (const kind of ["inputs", "outputs"]) if (Array.isArray(stored[kind])) layout[kind] = stored[kind].filter(isPlace);
  return layout;
}

/** Replace the layout as one object; one that says nothing is not kept. */
export function writeLayout(graph, layout) {
  const said = Object.fromEntries(Object.entries(layout).filter(([, value]) => value?.length));
  graph.extra ??= {};
  if (Object.keys(said).length) graph.extra[KEY] = { v: 1, ...said };
  else delete graph.extra[KEY];
}

/** Put entries of one kind into their order, each with its `group`. */
export function arrange(graph, kind, entries) {
  const places = layoutOf(graph)[listOf(kind)];
  const order = new Map(places.map(({ name, group }, index) => [name, { index, group }]).reverse());
  for (const entry of entries) entry.group = order.get(entry.mark.name)?.group ?? "";
  const rank = (entry) => order.get(entry.mark.name)?.index ?? places.length;
  return entries.sort((a, b) => rank(a) - rank(b));
}

/** Say the order and groups of all entries of one kind, as they stand. */
export function writeOrder(graph, kind, entries) {
  const places = entries.map(({ mark, group }) => (group ? { name: mark.name, group } : { name: mark.name }));
  writeLayout(graph, { ...layoutOf(graph), [listOf(kind)]: places });
}

/** Whether the layout names an entry of that kind. */
export const isPlaced = (graph, kind, name) => layoutOf(graph)[listOf(kind)].some((place) => place.name === name);
