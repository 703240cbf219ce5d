/** What is asked of a node and its widgets, whichever way it is marked. Pure, as marks are. */

/** What a name in the API is. */
export const NAME = /^[a-z][a-z0-9_]{0,63}$/;

const INACTIVE_MODES = new Set([2, 4]); // LiteGraph's NEVER and the front-end's BYPASS: such nodes are not exported

export const findWidget = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** Whether a link feeds the widget, so that its own value is not used. */
export function isLinked(node, widgetName) {
  const index = slotOf(node, widgetName);
  return index >= 0 && Boolean(node.isInputConnected?.(index));
}

/** @returns {number} the index of the input slot that belongs to a widget, or -1 */
export const slotOf = (node, widgetName) =>
  node.inputs?.findIndex((input) => input.widget?.name === widgetName) ?? -1;

/** The widgets whose values reach the API graph: buttons, previews and seed controls do not. */
export function markableWidgets(node) {
  if (node.isVirtualNode && !node.isSubgraphNode?.()) return [];
  return (node.widgets ?? []).filter(
    (widget) =>
      widget.name && widget.type !== "button" && widget.serialize !== false && widget.options?.serialize !== false,
  );
}

/** Whether ComfyUI runs a graph for this node's sake. */
export const isOutputNode = (node) => node?.constructor?.nodeData?.output_node === true;

/** @returns {"inactive"|""} why the node is not in the API graph */
export function nodeProblem(node) {
  return INACTIVE_MODES.has(node.mode) ? "inactive" : "";
}
