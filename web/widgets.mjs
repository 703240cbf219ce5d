/** What is asked of a node and its widgets, whichever way it is marked. Pure, as marks are. */

/** What a name in the API is. */
export const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** The class of the editor's own value node, and the id of the node that a definition's inputs come from. */
export const PRIMITIVE = "PrimitiveNode", INPUT_NODE = "-10";

const INACTIVE_MODES = new Set([2, 4]); // LiteGraph's NEVER and the front-end's BYPASS: such nodes are not exported

export const findWidget = (node, name) => node.widgets?.find((widget) => widget.name === name);

/**
 * Whether a node's output feeds the widget, so that its own value is not used. What a PrimitiveNode or the host's own
 * widget gives is a value, which a caller may set.
 */
export function isLinked(node, widgetName) {
  const index = slotOf(node, widgetName);
  const link = index < 0 ? null : linkInto(node, index);
  if (!link || String(link.origin_id) === INPUT_NODE) return false;
  return node.graph?.nodes.find(({ id }) => String(id) === String(link.origin_id))?.type !== PRIMITIVE;
}

/** A node whose class is not installed: it is saved as it was loaded, so a mark on it would be lost. */
const isUnknown = (node) => Boolean(node.last_serialization);

/** A group node of front-ends <= 1.46; newer ones make a subgraph of it when they open the workflow. */
export const isGroupNode = (node) => /^workflow[>/]/.test(String(node.type));

/**
 * The link that ends at an input slot: the one that the slot itself names, for a workflow may hold others that are long
 * replaced. But a host's `getInputLink` gives one inside its subgraph, so there the newest link is taken.
 */
export function linkInto(node, index) {
  if (!node.isSubgraphNode?.()) return node.getInputLink?.(index) ?? null;
  const ends = ({ target_id: target, target_slot: slot }) => String(target) === String(node.id) && slot === index;
  return [...(node.graph?.links?.values() ?? [])].findLast(ends) ?? null;
}

/** @returns {number} the index of the input slot that belongs to a widget, or -1 */
export const slotOf = (node, widgetName) =>
  node.inputs?.findIndex((input) => input.widget?.name === widgetName) ?? -1;

/** The widgets whose values reach the API graph: buttons, previews and seed controls do not. */
export function markableWidgets(node) {
  if (isGroupNode(node) || isUnknown(node)) return [];
  const isHost = Boolean(node.isSubgraphNode?.());
  if (node.isVirtualNode && !isHost && node.type !== PRIMITIVE) return [];
  const isKept = ({ serialize, options }) => (serialize !== false || isHost) && options?.serialize !== false; // <= 1.46 keeps a host's value inside
  return (node.widgets ?? []).filter((widget) =>
    widget.name && widget.type !== "button" && isKept(widget) && findWidget(node, widget.name) === widget);
}

/** Whether ComfyUI runs a graph for this node's sake. */
export const isOutputNode = (node) => node?.constructor?.nodeData?.output_node === true;

/** @returns {"inactive"|""} why the node is not in the API graph */
export function nodeProblem(node) {
  return INACTIVE_MODES.has(node.mode) ? "inactive" : "";
}
