/** The list of marked inputs and outputs: rename in place, put in order, open the settings, show the node, remove. */
import { readSelection, writeSelection } from "./appmode.mjs";
import { editEntry } from "./dialog.mjs";
import { h, iconButton } from "./dom.mjs";
import { reasonAgainst } from "./names.mjs";
import { reveal } from "./reveal.mjs";
import { t } from "./strings.mjs";
import { findWidget } from "./widgets.mjs";

const OLDEST_MINOR = 33; // of 1.x: the first with node menu items and the action bar's buttons

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 */
export function createMarkList(app, store) {
  const element = h("div.cc-scroll");
  /** What the rows were made of. After undo or load the nodes are others, though nothing looks different. */
  let shown = { words: "", nodes: [] };
  let dragged = null;

  function draw() {
    const editing = element.contains(document.activeElement) && document.activeElement.matches("input");
    const selection = store.entries.length ? null : store.root?.extra?.linearData;
    const wanted = { words: wordsOf(store.entries) + JSON.stringify(selection), nodes: store.entries.map((entry) => entry.node) };
    const same = wanted.words === shown.words && wanted.nodes.every((node, index) => node === shown.nodes[index]);
    if (editing || same) return; // what is being typed is not taken away; blur draws again
    shown = wanted;
    element.replaceChildren(...(store.entries.length ? sections() : [empty()]));
  }

  const sections = () => [...section("input"), ...section("output"), appModeButton()];

  /** ComfyUI overwrites what we write while its builder is open. */
  function appModeButton() {
    const mode = app.extensionManager?.workflow?.activeWorkflow?.activeMode ?? "";
    const note = h("p.cc-note", { role: "status" });
    const button = h("button.cc-link", { type: "button", title: t("app.writeTip"), disabled: mode.startsWith("builder"), onclick() {
      const left = store.writeAppMode(writeSelection);
      note.textContent = left ? t("app.left", { count: left }) : t("app.written");
    } }, t("app.write"));
    return h("div.cc-extra", {}, button, note);
  }

  function section(kind) {
    const entries = store.entries.filter((entry) => entry.kind === kind);
    const title = t(kind === "input" ? "list.inputs" : "list.outputs");
    if (!entries.length) {
      return [h("h3", {}, title), h("p.cc-note", {}, t(kind === "input" ? "list.noInputs" : "list.noOutputs"))];
    }
    const rows = entries.flatMap((entry, index) => {
      const begins = entry.group && entry.group !== entries[index - 1]?.group;
      return [...(begins ? [h("li.cc-group", {}, entry.group)] : []), row(entry, index)];
    });
    return [h("h3", {}, title, h("span", {}, String(entries.length))), h("ul.cc-list", { "aria-label": title }, ...rows)];
  }

  function row(entry, index) {
    const problem = h("div.cc-problem", { role: "alert" }, entry.problem && t(`problem.${entry.problem}`));
    return h(
      "li.cc-row",
      {
        ondragover(event) {
          if (dragged?.kind === entry.kind) event.preventDefault(); // it may be dropped here
        },
        ondrop(event) {
          event.preventDefault();
          store.move(dragged, index);
        },
      },
      handle(entry, index),
      h("div.cc-what", {}, nameField(entry, problem), h("div.cc-where", { title: whereOf(entry) }, whereOf(entry)), problem),
      iconButton("pi pi-pencil", t("list.edit"), () => editEntry(store, entry)),
      iconButton("pi pi-bullseye", t("list.find"), () => reveal(app, entry.node)),
      ...(entry.own ? [] : [iconButton("pi pi-times", t("list.remove"), () => store.remove(entry))]),
    );
  }

  /** What a row is dragged by, or moved by the arrow keys. */
  function handle(entry, index) {
    const button = iconButton("pi pi-bars", t("list.move"), null);
    button.classList.add("cc-handle");
    button.draggable = true;
    button.addEventListener("dragstart", (event) => {
      dragged = entry;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", entry.mark.name);
    });
    button.addEventListener("dragend", () => (dragged = null));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      store.move(entry, index + step);
      const moved = store.entries.findIndex((each) => each.kind === entry.kind && each.mark.name === entry.mark.name);
      element.querySelectorAll(".cc-handle")[moved]?.focus();
    });
    return button;
  }

  function nameField(entry, problem) {
    const field = h("input.cc-name", {
      value: entry.mark.name,
      spellcheck: "false",
      "aria-label": t("list.rename"),
      onkeydown(event) {
        event.stopPropagation(); // the canvas listens for Delete, Ctrl+Z and single letters
        if (event.key === "Enter") field.blur();
        if (event.key === "Escape") {
          field.value = entry.mark.name;
          field.blur();
        }
      },
      onblur() {
        const name = field.value.trim();
        const wrong = name === entry.mark.name ? "" : reasonAgainst(name, entry, store.entries);
        if (wrong) {
          problem.textContent = wrong;
          field.value = entry.mark.name;
        } else if (name !== entry.mark.name) {
          store.rename(entry, name);
        }
        queueMicrotask(draw);
      },
    });
    return field;
  }

  function empty() {
    const version = globalThis.__COMFYUI_FRONTEND_VERSION__ ?? "";
    const [major, minor] = version.split(".").map(Number);
    const hints =
      major === 1 && minor < OLDEST_MINOR
        ? [h("p", {}, t("old.noMarks", { version }))]
        : [...appModeHint(), h("p", {}, t("empty.text")), step("pi-sign-in", t("list.noInputs")), step("pi-sign-out", t("list.noOutputs"))];
    return h("div.cc-empty", {}, h("i.pi.pi-box", { "aria-hidden": "true" }), h("b", {}, t("empty.title")), ...hints);
  }

  function appModeHint() {
    const { inputs, outputs, unresolved } = readSelection(store.root);
    if (!inputs.length && !outputs.length) return [];
    return [
      h("p", {}, t("app.found", { inputs: inputs.length, outputs: outputs.length })),
      unresolved > 0 && h("p.cc-note", {}, t("app.lost", { count: unresolved })),
      h("button.cc-plain", { type: "button", onclick: () => store.useAppMode(readSelection(store.root)) }, t("app.use")),
    ];
  }

  const step = (icon, text) => h("p.cc-step", {}, h("i", { class: `pi ${icon}`, "aria-hidden": "true" }), h("span", {}, text));

  return { element, draw };
}

function whereOf({ kind, node, widget, targets }) {
  const title = node.title || node.type;
  if (kind === "output") return title;
  const several = targets.length > 1 ? ` · ${t("list.sets", { count: targets.length })}` : "";
  return `${title} · ${findWidget(node, widget)?.label || widget}${several}`;
}

const wordsOf = (entries) =>
  JSON.stringify(entries.map((entry) => [entry.kind, entry.mark, entry.group, entry.problem, whereOf(entry)]));
