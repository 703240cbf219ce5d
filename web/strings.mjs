/** The one place of the words that the panel, menus and badges show. */

const ENGLISH = {
  "tab.title": "Capsule",
  "tab.tooltip": "Capsule: make this workflow a web API and a container",
  "export.action": "Export as container",
  "export.tooltip": "Seal this workflow and its environment into a capsule",
  "menu.addInput": "API input: {widget}",
  "menu.removeInput": "Remove API input: {widget}",
  "menu.inputs": "API inputs",
  "menu.addOutput": "API output",
  "menu.removeOutput": "Remove API output",
  "badge.inputs": "API: {count} in",
  "badge.output": "API: out",
  "badge.both": "API: {count} in, out",
  "list.inputs": "Inputs",
  "list.outputs": "Outputs",
  "list.noInputs": "Right-click a widget and choose “API input”.",
  "list.noOutputs": "Right-click a Save or Preview node and choose “API output”.",
  "empty.title": "Nothing is marked yet",
  "empty.text": "Choose what callers of your API may set and what they get back:",
  "list.rename": "Name in the API",
  "list.find": "Show the node",
  "list.remove": "Remove from the API",
  "name.invalid": "Use a–z, 0–9 and _, beginning with a letter.",
  "name.taken": "Another one is called “{name}” already.",
  "problem.name": "Not a name for the API: use a–z, 0–9 and _, beginning with a letter.",
  "problem.duplicate": "Another one has this name too: rename one of them.",
  "problem.missing": "The node no longer has this widget: remove the mark.",
  "problem.linked": "A link feeds this widget, so a caller could not set it.",
  "problem.json": "This is not JSON: names and texts stand in double quotes.",
  "problem.inactive": "The node is muted or bypassed, so it is not in the API.",
  "export.name": "Name",
  "export.cancel": "Cancel",
  "export.cancelled": "Cancelled. Nothing was kept.",
  "export.reading": "Reading the graph",
  "export.queued": "Waiting for the export before it",
  "export.starting": "Starting",
  "amount.of": "{done} of {total}",
  "time.left": "{time} left",
  "phase.contract": "Reading the marks",
  "phase.comfyui": "ComfyUI",
  "phase.packs": "Custom node packs",
  "phase.python": "Python packages",
  "phase.models": "Models",
  "phase.look-up": "Addresses of models",
  "phase.inputs": "Input files",
  "phase.write": "Writing the capsule",
  "done.title": "Capsule ready",
  "done.download": "Download",
  "done.again": "Export again",
  "done.contract": "{inputs} in · {outputs} out",
  "done.next": "Build the container image where Docker is:",
  "done.copy": "Copy",
  "done.copied": "Copied",
  "findings.title": "Findings ({count})",
  "failed.title": "The export stopped",
  "failed.again": "Try again",
  "upload.choose": "choose file to upload",
  "upload.failed": "ComfyUI did not take the file {file}. {status}",
  "install.title": "One step is left",
  "install.text": "Marks work already. To export, stop ComfyUI, run this line once, and start it again:",
  "error.missingNode": "The graph uses the node “{type}” (id {id}), which is not installed here.",
  "error.missingNodeCure": "Install its pack, or remove the node, and export again.",
  "error.empty": "The graph has no nodes that run.",
  "error.emptyCure": "Open a workflow, then export.",
  "old.noSidebar": "Comfy Capsule: this ComfyUI front-end has no sidebar; version 1.33 or newer shows the panel.",
  "old.noMarks": "This front-end ({version}) is too old for marking by right click: version 1.33 or newer can.",
};

/**
 * @param {string} key
 * @param {Object<string, string|number>} [values] what stands for {name} in the text
 * @returns {string}
 */
export function t(key, values = {}) {
  return (ENGLISH[key] ?? fallback(key)).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** An engine newer than this page may name a phase that has no words here: its own name will do. */
const fallback = (key) => (key.startsWith("phase.") ? key.slice("phase.".length) : key);
