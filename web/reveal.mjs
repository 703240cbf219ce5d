/** Show a node to the user: open the subgraph it is in, centre it, select it. */

/**
 * @param {any} app
 * @param {any} node
 */
export function reveal(app, node) {
  const { canvas } = app;
  if (!node.graph || !canvas) return;
  if (node.graph !== canvas.graph) canvas.setGraph(node.graph);
  // The newly opened graph is laid out in the next frame; before that there is nothing to centre on.
  requestAnimationFrame(() => {
    canvas.centerOnNode(node);
    canvas.selectNode?.(node);
    canvas.setDirty(true, true);
  });
}
