// Runs in the editor's page: marks every widget there is, and says what the panel's own modules find of it.
async (graph) => {
  const names = ["appmode", "marks", "targets", "widgets"];
  const [appmode, marks, { pathsOf, targetsOf }, { markableWidgets }] =
    await Promise.all(names.map((name) => import(`/capsule-web/${name}.mjs`)));
  await app.loadGraphData(graph, true, false, null);
  document.querySelectorAll("[role=dialog] button[aria-label*=lose]").forEach((button) => button.click());
  const root = app.rootGraph ?? app.graph;
  const paths = pathsOf(root);
  const setBy = ({ node, widget }) => targetsOf(paths, node, widget).targets;

  const selected = appmode.readSelection(root);
  const appMode = { inputs: selected.inputs.map(setBy), outputs: selected.outputs.map(({ id }) => String(id)) };

  // What the front-end's own builder makes of the selection: since 1.47 in the form of widget ids; before, an inner
  // node's id stood for the host that shows its widget. It knows no form that is newer than itself.
  const builder = app.extensionManager._p?._s?.get("appMode")?.pruneLinearData?.(root.extra?.linearData);
  const promoting = (id, widget) => {
    const isMeant = (each) => each.sourceNodeId === String(id) && each.sourceWidgetName === widget;
    const host = root.nodes.find((node) => node.widgets?.some(isMeant));
    return { node: host?.subgraph.nodes.find((node) => String(node.id) === String(id)), widget };
  };
  const shown = (builder?.inputs ?? []).map(([id, name]) => {
    const [, local, ...widget] = String(id).split(":");
    if (local) return { node: root.getNodeById(local), widget: decodeURIComponent(widget.join(":")) };
    return root.getNodeById(id) ? { node: root.getNodeById(id), widget: name } : promoting(id, name);
  }).filter(({ node, widget }) => node?.widgets?.some(({ name }) => name === widget));
  const outputs = (builder?.outputs ?? []).map(String).filter((id) => root.getNodeById(id));
  const newer = !builder?.inputs.length && selected.inputs.length > 0;
  const builders = builder && !newer ? { inputs: shown.map(setBy), outputs: [...new Set(outputs)] } : null;

  let count = 0;
  for (const node of marks.everyNode(root)) {
    const inputs = Object.fromEntries(markableWidgets(node).map(({ name }) => [name, { name: `m${count++}` }]));
    if (Object.keys(inputs).length) node.properties.capsule = { v: 1, inputs };
  }
  const found = {};
  for (const node of marks.everyNode(root)) {
    for (const [widget, { name }] of Object.entries(marks.marksOf(node).inputs)) found[name] = targetsOf(paths, node, widget);
  }
  const { workflow, output } = await app.graphToPrompt();
  return JSON.parse(JSON.stringify({ workflow, output, found, appMode, builders }));
}
