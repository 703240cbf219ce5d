/** The one store: the marks of the open graph and the state of the export. Everything that changes a mark is here. */
import { isApiNode } from "./apinodes.mjs";
import { isPlaced, layoutOf, writeLayout, writeOrder } from "./layout.mjs";
import { collect, isMarked, markInput, markOutput, marksOf, proposeInputName, proposeOutputName, renameCopies, writeMark } from "./marks.mjs";
import { findWidget } from "./widgets.mjs";

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
  const root = () => app.rootGraph ?? app.graph;
  const fresh = new Set();
  const store = {
    /** The root graph; another one after each load. */
    get root() {
      return root();
    },
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
    /**
     * Read the marks of the graph again: after load, undo, paste, deletion, or our own change.
     * @returns {import("./marks.mjs").Entry[]} those whose names are no longer there
     */
    refresh() {
      const before = store.entries;
      store.entries = collect(root());
      store.revision += 1;
      announce();
      return before.filter(({ kind, mark }) => !store.entries.some((entry) => entry.kind === kind && entry.mark.name === mark.name));
    },
    setExport(next) {
      store.exporting = next;
      announce();
    },
    setName(name) {
      store.chosenName = name;
    },
    toggleInput(node, widget, marked) {
      change(() => setInput(node, widget, marked));
    },
    toggleOutput(node, marked) {
      change(() => setOutput(node, marked));
    },
    /** Mark these widgets of a node and no others, and the node as output or not; one step to undo. */
    setMarks(node, widgets, output) {
      const marks = marksOf(node);
      const gone = Object.keys(marks.inputs).filter((name) => !widgets.includes(name) && findWidget(node, name));
      const fresh = widgets.filter((name) => !(name in marks.inputs));
      if (!gone.length && !fresh.length && output === Boolean(marks.output)) return;
      change(() => {
        for (const name of gone) setInput(node, name, false);
        for (const name of fresh) setInput(node, name, true);
        if (output !== Boolean(marks.output)) setOutput(node, output);
      });
    },
    rename(entry, name) {
      store.edit(entry, { ...entry.mark, name }, entry.group);
    },
    /** Write what a dialog says of an entry. */
    edit(entry, mark, group) {
      change(() => {
        const placed = Boolean(group) || isPlaced(root(), entry.kind, entry.mark.name);
        const siblings = store.entries.filter((each) => each.kind === entry.kind);
        writeMark(entry, mark);
        if (placed) writeOrder(root(), entry.kind, siblings.map((each) => (each === entry ? { mark, group } : each)));
      });
    },
    /** Put an entry to another place among those of its kind. */
    move(entry, index) {
      const siblings = store.entries.filter((each) => each.kind === entry.kind);
      const others = siblings.filter((each) => each !== entry);
      const to = Math.max(0, Math.min(index, others.length));
      if (siblings.indexOf(entry) === to) return;
      change(() => writeOrder(root(), entry.kind, [...others.slice(0, to), entry, ...others.slice(to)]));
    },
    describe(title, description) {
      change(() => writeLayout(root(), { ...layoutOf(root()), title, description }));
    },
    /** Turn ComfyUI's App Mode selection, as appmode.mjs reads it, into marks, in its order. */
    useAppMode({ inputs, outputs }) {
      change(() => {
        const named = { input: [], output: [] };
        for (const { node, widget, description } of inputs) {
          const title = findWidget(node, widget).label;
          named.input.push({ mark: setInput(node, widget, true, { ...(title && { title }), ...(description && { description }) }) });
        }
        for (const node of outputs) named.output.push({ mark: setOutput(node, true) });
        for (const [kind, entries] of Object.entries(named)) writeOrder(root(), kind, entries);
      });
    },
    /** Make the marks App Mode's selection, as appmode.mjs writes it; the number of those that it has no place for. */
    writeAppMode(writeSelection) {
      let left = 0;
      change(() => {
        left = writeSelection(root(), store.entries, globalThis.__COMFYUI_FRONTEND_VERSION__ ?? "1.0");
      });
      return left;
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
    if (copies.size > 0 && renameCopies(root(), copies)) change(() => {});
    else store.refresh();
  }

  /** Mark a widget under a name of its own, or unmark it; the mark. */
  function setInput(node, widget, marked, said = {}) {
    const mark = marked ? { name: proposeInputName(root(), node, widget), ...said } : null;
    markInput(node, widget, mark);
    return mark;
  }

  function setOutput(node, marked) {
    const mark = marked ? { name: proposeOutputName(root(), node) } : null;
    markOutput(node, mark);
    return mark;
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
