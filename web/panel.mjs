/** The sidebar panel: the marks above, the export below. */
import { editAbout } from "./dialog.mjs";
import { h, iconButton } from "./dom.mjs";
import { createExportBox } from "./exportbox.mjs";
import { createMarkList } from "./marklist.mjs";
import { ensureStyle } from "./style.mjs";
import { t } from "./strings.mjs";

/**
 * @param {HTMLElement} element the slot that the front-end gives; another pack's tab may have left things in it
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 * @param {import("./export.mjs").Exporter} exporter
 * @returns {() => void} stops listening
 */
export function openPanel(element, app, store, exporter) {
  ensureStyle();
  const list = createMarkList(app, store);
  const box = createExportBox(store, exporter);
  const about = iconButton("pi pi-pencil", t("edit.about"), () => editAbout(store, store.root));
  const root = h("section.comfy-capsule", { "aria-label": t("tab.title") }, h("h2", {}, t("tab.title"), about), list.element, box.element);
  element.replaceChildren(root);
  root.addEventListener("pointerenter", () => box.draw()); // the workflow may have been renamed or saved as another

  const draw = () => {
    list.draw();
    box.draw();
  };
  const stop = store.subscribe(() => (root.isConnected ? draw() : stop())); // the front-end may not call destroy
  store.refresh();
  box.check();
  return stop;
}
