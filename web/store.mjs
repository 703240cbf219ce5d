/** The one store: the marks of the open graph and the state of the export. Everything that changes a mark is here. */
import { isApiNode } from "./apinodes.mjs";
import { collect, isMarked, markInput, markOutput, proposeInputName, proposeOutputName, renameCopies, writeMark } from "./marks.mjs";

/**
 * @typedef {object} ExportState
 * @property {"idle"|"reading"|"queued"|"running"|"succeeded"|"failed"|"cancelled"} state
 * @property {string} [task]
 * @property {string} [name]
 * @property {{phase: string, item: string, done: number, total: number, unit: string}[]} [progress]
 * @property {object} [result]
 * @property {{code: string, message: string, cure: string}} [error]
 *
 * @typedef {ReturnType<typeof createStore>} Store
 */
export function createStore(app) {
  const listeners = new Set();
  const fresh = new Set();
  const store = {
    /** @type {import("./marks.mjs").Entry[]} */
    entries: [],
    /** @type {ExportState} */
    exporting: { state: "idle" },
    /** The capsule's name as the user typed it; "" follows the workflow's own name. */
    chosenName: "",
    /** Grows with every change, so that what is drawn can be kept until then. */
    revision: 0,

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Read the marks of the graph again: after load, undo, paste, or our own change. */
    refresh() {
      store.entries = collect(app.rootGraph ?? app.graph);
      store.revision += 1;
      announce();
    },
    setExport(next) {
      store.exporting = next;
      announce();
    },
    setName(name) {
      store.chosenName = name;
    },
    toggleInput(node, widget, marked) {
      const mark = marked ? { name: proposeInputName(app.rootGraph ?? app.graph, node, widget) } : null;
      change(() => markInput(node, widget, mark));
    },
    toggleOutput(node, marked) {
      const mark = marked ? { name: proposeOutputName(app.rootGraph ?? app.graph, node) } : null;
      change(() => markOutput(node, mark));
    },
    rename(entry, name) {
      change(() => writeMark(entry, { ...entry.mark, name }));
    },
    remove(entry) {
      change(() => writeMark(entry, null));
    },
    /** Look at a new node once it is configured: a pasted one brings marks whose names are taken. */
    watch(node) {
      const configured = node.onConfigure;
      node.onConfigure = function (...args) {
        const result = configured?.apply(this, args);
        if (!app.configuringGraph && (isMarked(this) || isApiNode(this))) {
          if (fresh.size === 0) queueMicrotask(settleCopies);
          fresh.add(this);
        }
        return result;
      };
    },
  };

  // Only after the whole paste or conversion is done: until then originals and clones stand side by side.
  function settleCopies() {
    const copies = new Set([...fresh].filter((node) => node.graph));
    fresh.clear();
    if (copies.size > 0 && renameCopies(app.rootGraph ?? app.graph, copies)) change(() => {});
    else store.refresh();
  }

  function change(write) {
    write();
    store.refresh();
    app.canvas?.setDirty(true, true);
    const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker); // makes it undoable; the second name is <= 1.44
  }

  function announce() {
    // Vue nodes of front-ends <= 1.52 draw a badge again only when Vue sees something change that the badge reads.
    if (app.canvas?.state) app.canvas.state.capsuleRevision = store.revision;
    for (const listener of listeners) listener();
  }

  return store;
}
