/** Export: read the graph as the front-end would run it, hand it to the engine, follow the task, save the file. */
import { CapsuleError } from "./client.mjs";
import { t } from "./strings.mjs";

const POLL = 1000; // ms; events come first where the websocket lives, polling shows the truth where it does not
const RUNNING = new Set(["reading", "queued", "running"]);

export const isRunning = (exporting) => RUNNING.has(exporting.state);

/** @returns {string} a name fit for a file, an image and a URL; the workflow's own unless the user chose one */
export function capsuleName(app, store) {
  const workflow = app.extensionManager?.workflow?.activeWorkflow;
  return slug(store.chosenName) || slug(workflow?.filename?.replace(/\.json$/, "")) || "workflow";
}

export const slug = (text) =>
  String(text ?? "").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "");

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 * @param {import("./client.mjs").Client} client
 * @typedef {ReturnType<typeof createExporter>} Exporter
 */
export function createExporter(app, store, client) {
  let timer = 0;

  async function start() {
    if (isRunning(store.exporting)) return;
    const name = capsuleName(app, store);
    store.setExport({ state: "reading", name, progress: [] });
    try {
      const { workflow, output } = await app.graphToPrompt();
      refuseUnknown(workflow, output);
      const { task } = await client.export({
        name, workflow, api: output, frontend_version: globalThis.__COMFYUI_FRONTEND_VERSION__ ?? "",
      });
      store.setExport({ ...store.exporting, state: "queued", task });
      poll(); // what was pushed before the task's id was known
    } catch (error) {
      fail(error);
    }
  }

  function follow() {
    clearTimeout(timer);
    timer = setTimeout(poll, POLL);
  }

  async function poll() {
    const { task } = store.exporting;
    if (!task || !isRunning(store.exporting)) return;
    try {
      take(await client.task(task));
    } catch (error) {
      if (error.code !== "unreachable") return fail(error);
      if (store.exporting.task === task) follow(); // ComfyUI may come back, and the task with it
    }
  }

  /** Take what the server says of the task, by event or by poll. */
  function take(view) {
    if (view.task !== store.exporting.task || !isRunning(store.exporting)) return;
    const { name } = store.exporting;
    store.setExport({ ...view, name });
    if (isRunning(store.exporting)) return follow();
    clearTimeout(timer);
    if (view.state === "succeeded") download();
    tellEnd(app, store.exporting);
  }

  function fail(error) {
    clearTimeout(timer);
    const { code = "unexpected", message, cure = "" } = error;
    store.setExport({ ...store.exporting, state: "failed", error: { code, message, cure } });
    tellEnd(app, store.exporting);
  }

  async function download() {
    const { task, result } = store.exporting;
    try {
      save(await client.file(task), result.file); // by fetch, because a link cannot name the user of a shared ComfyUI
    } catch (error) {
      fail(error);
    }
  }

  return {
    start,
    poll,
    download,
    heard: take,
    name: () => capsuleName(app, store),
    status: client.status,
    async cancel() {
      const { task } = store.exporting;
      if (task) await client.cancel(task).then(take, fail);
    },
  };
}

/** A node whose class is not installed is exported without one; a capsule of it could never run. */
function refuseUnknown(workflow, output) {
  const [id] = Object.entries(output).find(([, node]) => !node.class_type) ?? [];
  if (id) {
    const type = findType(workflow, id) ?? "?";
    throw new CapsuleError({ code: "missing-node", message: t("error.missingNode", { type, id }), cure: t("error.missingNodeCure") });
  }
  if (Object.keys(output).length === 0) {
    throw new CapsuleError({ code: "empty-graph", message: t("error.empty"), cure: t("error.emptyCure") });
  }
}

function findType(workflow, apiId) {
  const local = apiId.split(":").at(-1);
  const graphs = [workflow, ...(workflow.definitions?.subgraphs ?? [])];
  const found = graphs.flatMap((graph) => graph.nodes ?? []).filter((node) => String(node.id) === local);
  return found[0]?.type;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Where the panel is not on screen, a toast says how it ended. */
function tellEnd(app, { state, error, result }) {
  if (document.querySelector("section.comfy-capsule")?.isConnected) return;
  const toast = app.extensionManager?.toast;
  if (state === "succeeded") toast?.add({ severity: "success", summary: t("done.title"), detail: result.file, life: 5000 });
  if (state === "failed") toast?.add({ severity: "error", summary: error.message, detail: error.cure, life: 15000 });
}
