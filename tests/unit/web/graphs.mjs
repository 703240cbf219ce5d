/** Nodes and graphs as LiteGraph has them, as far as the pure modules look at them. */

/** A node with number widgets, each with its input slot. */
export function node(id, widgets = [], extra = {}) {
  return {
    id, type: "KSampler", title: "KSampler", mode: 0, properties: {},
    widgets: widgets.map((name) => ({ name, type: "number" })),
    inputs: widgets.map((name) => ({ name, widget: { name } })),
    getInputLink(slot) {
      const links = [...(this.graph?.links.values() ?? [])];
      return links.findLast((link) => String(link.target_id) === String(this.id) && link.target_slot === slot) ?? null;
    },
    ...extra,
  };
}

/** A graph of these nodes, or, with `inputs`, a definition that has inputs of these names. */
export function graph(...nodes) {
  const made = { nodes, links: new Map() };
  for (const each of nodes) each.graph = made;
  return made;
}

/** Link output 0 of `origin` (an id) to input `slot` of `target`. */
export function link(graph, origin, target, slot = 0, originSlot = 0) {
  const id = graph.links.size + 1;
  graph.links.set(id, { id, origin_id: origin, origin_slot: originSlot, target_id: target, target_slot: slot });
  return graph;
}

/** A host of `definition`, with a promoted widget for each of its inputs. */
export function host(id, definition, extra = {}) {
  const names = (definition.inputs ?? []).map(({ name }) => name);
  return node(id, names, { isSubgraphNode: () => true, subgraph: definition, type: "uuid", ...extra });
}
