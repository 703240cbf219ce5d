/** What the front-end is told of us: one sidebar tab, one command, one button, menu items, badges on marked nodes. */
import { createBadges } from "./badge.mjs";
import { addMediaWidgets, mediaWidgets } from "./media.mjs";
import { createMenu } from "./menu.mjs";
import { createStore } from "./store.mjs";
import { t } from "./strings.mjs";
import { PRIMITIVE } from "./widgets.mjs";

export const TAB = "capsule";
const EXPORT = "ComfyCapsule.Export";
const MARK = "ComfyCapsule.Mark"; // both have their words in locales/, where the front-end looks for tooltips
const SETTLED = 500; // ms after which the front-end has named the workflow that it loaded; it tells nobody when

/**
 * @param {any} app ComfyUI's app
 * @param {any} api ComfyUI's api
 * @returns {object} a ComfyExtension; keys that a front-end does not know are ignored by it
 */
export function createExtension(app, api) {
  const store = createStore(app);
  const badges = createBadges(app, store);
  const menu = createMenu(app, store);
  /** Nothing of the export is fetched before it is wanted. */
  let exporter = null;
  const getExporter = async () => {
    const [{ createExporter }, { createClient }] = await Promise.all([import("./export.mjs"), import("./client.mjs")]);
    return (exporter ??= createExporter(app, store, createClient(api)));
  };
  const exportNow = async () => {
    openTab(app);
    return (await getExporter()).start();
  };
  const markSelected = async () => {
    const [node, ...others] = Object.values(app.canvas?.selected_nodes ?? {});
    if (others.length || !menu.canMark(node)) {
      app.extensionManager?.toast?.add({ severity: "info", summary: t("mark.selectOne"), life: 5000 });
      return;
    }
    const { markNode } = await import("./markdialog.mjs");
    markNode(store, node);
  };
  const created = (node) => {
    badges.attach(node);
    store.watch(node);
  };
  return {
    name: "ComfyCapsule",
    commands: [
      { id: EXPORT, label: t("export.action"), icon: "pi pi-box", function: exportNow },
      { id: MARK, label: t("mark.action"), icon: "pi pi-box", function: markSelected },
    ],
    menuCommands: [{ path: ["File"], commands: [EXPORT] }],
    actionBarButtons: [{ icon: "pi pi-box", label: t("export.action"), tooltip: t("export.tooltip"), onClick: exportNow }],
    setup() {
      registerTab(app, store, getExporter);
      menu.listen();
      badges.listen();
      hearOfPrimitives(created);
      api.addEventListener("graphChanged", () => tellLost(app, store.refresh()));
      api.addEventListener("capsule.progress", (event) => exporter?.heard(event.detail));
      api.addEventListener("reconnected", () => exporter?.poll());
    },
    beforeRegisterNodeDef: (_, nodeData) => addMediaWidgets(nodeData),
    getCustomWidgets: () => mediaWidgets(app, api),
    nodeCreated: created,
    afterConfigureGraph() {
      store.refresh();
      setTimeout(store.refresh, SETTLED);
    },
    getSelectionToolboxCommands: (item) => (menu.canMark(item) ? [MARK] : []),
    getNodeMenuItems: (node) => menu.itemsFor(node),
  };
}

/** The front-end tells extensions of every node that is made but of its own PrimitiveNode. */
function hearOfPrimitives(created) {
  const prototype = globalThis.LiteGraph?.registered_node_types?.[PRIMITIVE]?.prototype;
  if (!prototype) return;
  const before = prototype.onNodeCreated;
  prototype.onNodeCreated = function (...args) {
    before?.apply(this, args);
    created(this);
  };
}

/** Show our tab, where there is a sidebar; the export tells its end by a toast where there is none. */
function openTab(app) {
  const tabs = app.extensionManager?.sidebarTab;
  if (tabs && tabs.activeSidebarTabId !== TAB) app.extensionManager.command?.execute(`Workspace.ToggleSidebarTab.${TAB}`);
}

/** Loads and undos are read before this event; what is lost by then was deleted with its node. */
function tellLost(app, entries) {
  if (!entries.length) return;
  const names = entries.map((entry) => entry.mark.name).join(", ");
  app.extensionManager?.toast?.add({ severity: "warn", summary: t("lost.title", { names }), detail: t("lost.detail"), life: 8000 });
}

function registerTab(app, store, getExporter) {
  if (!app.extensionManager?.registerSidebarTab) {
    console.warn(t("old.noSidebar"));
    return;
  }
  let close = () => {};
  app.extensionManager.registerSidebarTab({
    id: TAB,
    icon: "pi pi-box",
    title: t("tab.title"),
    tooltip: t("tab.tooltip"),
    type: "custom",
    async render(element) {
      const [{ openPanel }, exporter] = await Promise.all([import("./panel.mjs"), getExporter()]); // only when it is opened
      close();
      close = openPanel(element, app, store, exporter);
    },
    destroy: () => close(),
  });
}
