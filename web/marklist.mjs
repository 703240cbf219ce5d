/** The list of marked inputs and outputs: rename in place, show the node, remove. */
import { h, iconButton } from "./dom.mjs";
import { snakeName } from "./marks.mjs";
import { reveal } from "./reveal.mjs";
import { t } from "./strings.mjs";
import { findWidget, NAME } from "./widgets.mjs";

const OLDEST_MINOR = 33; // of 1.x: the first with node menu items and the action bar's buttons

/**
 * @param {any} app
 * @param {import("./store.mjs").Store} store
 */
export function createMarkList(app, store) {
  const element = h("div.cc-scroll");
  /** What the rows were made of. After undo or load the nodes are others, though nothing looks different. */
  let shown = { words: "", nodes: [] };

  function draw() {
    const editing = element.contains(document.activeElement) && document.activeElement.matches("input");
    const wanted = { words: wordsOf(store.entries), nodes: store.entries.map((entry) => entry.node) };
    const same = wanted.words === shown.words && wanted.nodes.every((node, index) => node === shown.nodes[index]);
    if (editing || same) return; // what is being typed is not taken away; blur draws again
    shown = wanted;
    element.replaceChildren(...(store.entries.length ? sections() : [empty()]));
  }

  const sections = () => [...section("input"), ...section("output")];

  function section(kind) {
    const entries = store.entries.filter((entry) => entry.kind === kind);
    const title = t(kind === "input" ? "list.inputs" : "list.outputs");
    if (!entries.length) {
      return [h("h3", {}, title), h("p.cc-note", {}, t(kind === "input" ? "list.noInputs" : "list.noOutputs"))];
    }
    return [h("h3", {}, title, h("span", {}, String(entries.length))), h("ul.cc-list", { "aria-label": title }, ...entries.map(row))];
  }

  function row(entry) {
    const problem = h("div.cc-problem", { role: "alert" }, entry.problem && t(`problem.${entry.problem}`));
    return h(
      "li.cc-row",
      {},
      h("div.cc-what", {}, nameField(entry, problem), h("div.cc-where", { title: whereOf(entry) }, whereOf(entry)), problem),
      iconButton("pi pi-bullseye", t("list.find"), () => reveal(app, entry.node)),
      ...(entry.own ? [] : [iconButton("pi pi-times", t("list.remove"), () => store.remove(entry))]),
    );
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
        const wrong = name === entry.mark.name ? "" : reasonAgainst(name, entry);
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

  function reasonAgainst(name, entry) {
    if (!NAME.test(name)) return `${t("name.invalid")}${snakeName(name) ? ` (${snakeName(name)})` : ""}`;
    const taken = store.entries.some((other) => other !== entry && other.kind === entry.kind && other.mark.name === name);
    return taken ? t("name.taken", { name }) : "";
  }

  function empty() {
    const version = globalThis.__COMFYUI_FRONTEND_VERSION__ ?? "";
    const [major, minor] = version.split(".").map(Number);
    const hints =
      major === 1 && minor < OLDEST_MINOR
        ? [h("p", {}, t("old.noMarks", { version }))]
        : [h("p", {}, t("empty.text")), step("pi-sign-in", t("list.noInputs")), step("pi-sign-out", t("list.noOutputs"))];
    return h("div.cc-empty", {}, h("i.pi.pi-box", { "aria-hidden": "true" }), h("b", {}, t("empty.title")), ...hints);
  }

  const step = (icon, text) => h("p.cc-step", {}, h("i", { class: `pi ${icon}`, "aria-hidden": "true" }), h("span", {}, text));

  return { element, draw };
}

function whereOf({ kind, node, widget }) {
  const title = node.title || node.type;
  if (kind === "output") return title;
  return `${title} · ${findWidget(node, widget)?.label || widget}`;
}

const wordsOf = (entries) =>
  JSON.stringify(entries.map((entry) => [entry.kind, entry.mark.name, entry.problem, whereOf(entry)]));
