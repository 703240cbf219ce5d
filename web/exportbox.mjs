/** The foot of the panel: name and button, then progress, then the result or what stopped it. */
import { bytes, copyLine, h, iconButton } from "./dom.mjs";
import { isRunning } from "./export.mjs";
import { clock, createPace } from "./pace.mjs";
import { t } from "./strings.mjs";

/**
 * @param {import("./store.mjs").Store} store
 * @param {import("./export.mjs").Exporter} exporter
 */
export function createExportBox(store, exporter) {
  const element = h("div.cc-foot");
  const pace = createPace();
  let install = "";
  let shown = {};

  function draw() {
    const { exporting } = store;
    if (shown.exporting === exporting && shown.install === install) return follow();
    shown = { exporting, install };
    element.replaceChildren(...content(exporting));
  }

  /** Only the name follows the workflow: a button that were made anew on each change would lose a click under way. */
  function follow() {
    const field = element.querySelector("input");
    if (field && field !== document.activeElement) field.value = exporter.name();
  }

  function content(exporting) {
    if (isRunning(exporting)) return running(exporting);
    if (install) return [installHint()];
    const { state, error } = exporting;
    if (state === "succeeded") return [...done(exporting, exporter.download), nameField(), start(t("done.again"), "plain")];
    if (state === "failed") return [failed(error), nameField(), start(t("failed.again"), "main")];
    const note = state === "cancelled" ? [h("p.cc-note.cc-flush", { role: "status" }, t("export.cancelled"))] : [];
    return [...note, nameField(), start(t("export.action"), "main")];
  }

  function nameField() {
    return h("label", {}, t("export.name"), h("input.cc-field", {
      value: exporter.name(),
      spellcheck: "false",
      maxlength: 60,
      onkeydown: (event) => event.stopPropagation(),
      oninput: (event) => store.setName(event.target.value),
      onchange: (event) => {
        event.target.value = exporter.name();
      },
    }));
  }

  const start = (label, look) =>
    h(`button.cc-${look}`, { type: "button", "data-testid": "capsule-export", onclick: () => exporter.start() },
      h("i.pi.pi-box", { "aria-hidden": "true" }), label);

  const installHint = () =>
    h("div.cc-box", { role: "alert" }, h("div.cc-title", {}, t("install.title")), h("p", {}, t("install.text")),
      copyLine(install, t("done.copy"), t("done.copied")));

  function running({ state, progress = [] }) {
    const waiting = { reading: t("export.reading"), queued: t("export.queued"), running: t("export.starting") }[state];
    const phases = progress.length ? progress : [{ label: waiting, item: "", done: 0, total: 0, unit: "items" }];
    return [
      h("ol.cc-phases", { "aria-live": "polite" }, ...phases.map((event, index) => {
        const current = event.total ? event.done < event.total : index === phases.length - 1;
        return phaseRow(event, current, current ? pace(event, performance.now()) : null);
      })),
      h("button.cc-plain", { type: "button", onclick: () => exporter.cancel() }, t("export.cancel")),
    ];
  }

  /** Ask once, when the panel opens, whether the engine is installed. */
  async function check() {
    try {
      install = (await exporter.status()).install ?? "";
    } catch (error) {
      if (store.exporting.state === "idle") store.setExport({ state: "failed", error });
      return;
    }
    draw();
  }

  return { element, draw, check };
}

function phaseRow({ phase, label = t(`phase.${phase}`), item, done, total, unit }, current, left) {
  const amount = total ? (unit === "bytes" ? t("amount.of", { done: bytes(done), total: bytes(total) }) : t("amount.of", { done, total })) : "";
  const share = total ? Math.min(100, (100 * done) / total) : 0;
  const icon = current ? "pi pi-spin pi-spinner" : "pi pi-check";
  return h("li.cc-phase", {},
    h("i", { class: icon, "aria-hidden": "true" }), h("span", {}, label),
    h("span.cc-where", { title: item }, current ? item : ""), h("span.cc-amount", {}, left === null ? amount : `${amount}, ${t("time.left", { time: clock(left) })}`),
    current && total > 0 && h("div.cc-bar", { role: "progressbar", "aria-valuenow": Math.round(share), "aria-label": label },
      h("div", { style: `width:${share}%` })));
}

function done({ name, result }, download) {
  const { inputs = [], outputs = [] } = result.contract ?? {};
  return [
    h("div.cc-box", { "data-testid": "capsule-done", role: "status" },
      h("div.cc-title", {}, h("i.pi.pi-check-circle.cc-good", { "aria-hidden": "true" }), t("done.title"),
        iconButton("pi pi-download", t("done.download"), download)),
      h("p", {}, result.file),
      h("p.cc-where", { title: result.digests?.capsule ?? "" },
        [result.id, bytes(result.size), t("done.contract", { inputs: inputs.length, outputs: outputs.length })].join(" · "))),
    findingsOf(result),
    h("p.cc-note.cc-flush", {}, t("done.next")),
    copyLine(`comfy-capsule build ${result.file} -t ${name}`, t("done.copy"), t("done.copied")),
  ].filter(Boolean);
}

function findingsOf({ findings = [] }) {
  if (!findings.length) return null;
  return h("details", {}, h("summary", {}, t("findings.title", { count: findings.length })),
    h("ul.cc-findings", {}, ...findings.map(finding)));
}

const finding = ({ subject, message, cure, blocks }) =>
  h("li", {},
    h("i", { class: blocks ? "pi pi-exclamation-triangle cc-bad" : "pi pi-info-circle", "aria-hidden": "true" }),
    h("div", {}, message.startsWith(subject) ? message : `${subject}: ${message}`),
    h("div.cc-note.cc-flush", {}, cure));

const failed = ({ message, cure }) =>
  h("div.cc-box.cc-failed", { role: "alert", "data-testid": "capsule-failed" },
    h("div.cc-title", {}, t("failed.title")), h("p", {}, message), cure && h("p.cc-note.cc-flush", {}, cure));
