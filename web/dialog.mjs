/** The dialogs: what a caller is told of an input or an output and may send, and what the whole API is called. */
import { h } from "./dom.mjs";
import { layoutOf } from "./layout.mjs";
import { reasonAgainst } from "./names.mjs";
import { faultOf, limitsOf } from "./settings.mjs";
import { t } from "./strings.mjs";
import { ensureStyle } from "./style.mjs";
import { findWidget } from "./widgets.mjs";

const MANY = 12; // choices above which they can be searched

/**
 * Edit one entry of the list.
 * @param {import("./store.mjs").Store} store
 * @param {import("./marks.mjs").Entry} entry
 */
export function editEntry(store, entry) {
  const { node, widget, mark, kind, own } = entry;
  const limits = kind === "input" && !own && findWidget(node, widget) ? limitsOf(node, widget) : { kind: "other" };
  const name = textField("edit.name", mark.name, { maxlength: 64 });
  const group = kind === "input" ? groupField(store, entry.group) : null;
  const fields = own ? {} : {
    title: textField("edit.title", mark.title, { placeholder: mark.name }),
    description: longField("edit.description", mark.description),
  };
  const settings = kind === "input" && !own ? settingFields(limits, mark, findWidget(node, widget)?.value) : {};

  function save() {
    const wanted = name.read().trim();
    const wrong = wanted === mark.name ? "" : reasonAgainst(wanted, entry, store.entries);
    if (wrong) return wrong;
    const said = Object.entries({ ...fields, ...settings }).map(([key, field]) => [key, field.read()]);
    const next = Object.fromEntries(Object.entries({ ...mark, ...Object.fromEntries(said), name: wanted }).filter(isSaid));
    const fault = faultOf(next, limits);
    if (fault) return t(`fault.${fault}`);
    store.edit(entry, next, group?.read().trim() ?? "");
    return "";
  }

  const note = own && h("p.cc-note.cc-flush", {}, t("edit.own"));
  openDialog(headingOf(entry), [name, note, ...Object.values(fields), group, ...arranged(settings)], save);
}

const isSaid = ([, value]) => value !== undefined && value !== null && value !== "";

function headingOf({ kind, node, widget, own }) {
  if (kind === "output") return t("edit.output");
  return own ? t("edit.input") : t("edit.widget", { widget: findWidget(node, widget)?.label || widget });
}

/** Edit what the whole API is called. */
export function editAbout(store, graph) {
  const layout = layoutOf(graph);
  const title = textField("edit.title", layout.title);
  const description = longField("edit.description", layout.description);
  openDialog(t("edit.about"), [title, description], () => {
    store.describe(title.read().trim(), description.read().trim());
    return "";
  });
}

/** The fields for what may be sent, by the kind of the widget, each under its key in the mark. */
function settingFields(limits, mark, current) {
  const required = checkField("edit.required", mark.required);
  switch (limits.kind) {
    case "integer":
    case "number":
      return {
        default: numberField("edit.default", mark.default, current),
        minimum: numberField("edit.minimum", mark.minimum, limits.minimum),
        maximum: numberField("edit.maximum", mark.maximum, limits.maximum),
        step: numberField("edit.step", mark.step),
        required,
      };
    case "choice": {
      const choices = choicesField(mark.choices, limits.choices);
      if (Array.isArray(current)) return { choices, required }; // several at once: the default stays the editor's
      return { default: selectField("edit.default", mark.default, limits.choices, current), choices, required };
    }
    case "boolean":
      return { default: selectField("edit.default", mark.default, [true, false], current), required };
    case "text":
      return {
        default: longField("edit.default", mark.default, String(current ?? "")),
        maxLength: numberField("edit.maxLength", mark.maxLength),
        choices: linesField("edit.choices", mark.choices),
        required,
      };
    default:
      return { required };
  }
}

/** The bounds stand side by side. */
function arranged({ minimum, maximum, step, ...others }) {
  const { default: first, ...rest } = others;
  return [first, minimum && h("div.cc-columns", {}, minimum, maximum, step), ...Object.values(rest)];
}

/** @param {() => string} save writes, or says what is wrong */
export function openDialog(title, children, save) {
  ensureStyle();
  const problem = h("p.cc-problem", { role: "alert" });
  const form = h("form", { method: "dialog", novalidate: true, onsubmit(event) {
    event.preventDefault();
    problem.textContent = save();
    if (!problem.textContent) dialog.close();
  } },
  h("h2", {}, title), h("div.cc-fields", {}, ...children), problem,
  h("div.cc-buttons", {},
    h("button.cc-plain", { type: "button", onclick: () => dialog.close() }, t("edit.cancel")),
    h("button.cc-main", { type: "submit" }, t("edit.save"))));
  const dialog = h("dialog.cc-dialog", {
    "aria-label": title,
    onclose: () => dialog.remove(),
    onkeydown: (event) => event.stopPropagation(), // the canvas listens for Delete, Ctrl+Z and single letters
  }, h("div.comfy-capsule", {}, form));
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("input")?.select();
}

function labelled(word, control, read) {
  const element = h("label", {}, t(word), control);
  element.read = read;
  return element;
}

function textField(word, value, attributes = {}) {
  const control = h("input.cc-field", { value: value ?? "", spellcheck: "false", ...attributes });
  return labelled(word, control, () => control.value);
}

function groupField(store, value) {
  const known = new Set(store.entries.map((entry) => entry.group).filter(Boolean));
  const field = textField("edit.group", value, { list: "cc-groups" });
  field.append(h("datalist", { id: "cc-groups" }, ...[...known].map((group) => h("option", { value: group }))));
  return field;
}

function longField(word, value, placeholder = "") {
  const control = h("textarea.cc-field", { rows: 2, placeholder: placeholder.slice(0, 200), value: value ?? "" });
  return labelled(word, control, () => control.value);
}

function numberField(word, value, placeholder = "") {
  const control = h("input.cc-field", { value: value ?? "", placeholder, inputmode: "decimal" });
  return labelled(word, control, () => (control.value.trim() === "" ? undefined : Number(control.value)));
}

function checkField(word, value) {
  const control = h("input", { type: "checkbox" });
  control.checked = Boolean(value);
  const element = h("label.cc-check", {}, control, t(word));
  element.read = () => control.checked || undefined;
  return element;
}

function selectField(word, value, choices, current) {
  const option = (label, index, selected) => h("option", { value: index, selected }, label);
  const control = h("select.cc-field", {},
    option(t("edit.current", { value: String(current) }), "", value === undefined),
    ...choices.map((choice, index) => option(String(choice), String(index), choice === value)));
  return labelled(word, control, () => (control.value === "" ? undefined : choices[Number(control.value)]));
}

function linesField(word, value) {
  const control = h("textarea.cc-field", { rows: 2, placeholder: t("edit.anyText"), value: (value ?? []).join("\n") });
  const lines = () => [...new Set(control.value.split("\n").map((line) => line.trim()).filter(Boolean))];
  return labelled(word, control, () => (lines().length ? lines() : undefined));
}

/** Which of the node's choices a caller has; all of them says nothing. */
function choicesField(value, choices) {
  const boxes = choices.map((choice) => {
    const box = h("input", { type: "checkbox" });
    box.checked = !value || value.includes(choice);
    return h("label.cc-check", {}, box, String(choice));
  });
  const checked = () => choices.filter((_, index) => boxes[index].firstChild.checked);
  const every = (on) => boxes.forEach((row) => !row.hidden && (row.firstChild.checked = on));
  const search = h("input.cc-field", { placeholder: t("edit.search"), "aria-label": t("edit.search"), oninput: () =>
    boxes.forEach((row, index) => (row.hidden = !String(choices[index]).toLowerCase().includes(search.value.toLowerCase()))) });
  const small = (label, on) => h("button.cc-link", { type: "button", onclick: () => every(on) }, label);
  const element = h("fieldset.cc-choices", {}, h("legend", {}, t("edit.choices"), small(t("edit.all"), true), small(t("edit.none"), false)),
    choices.length > MANY && search, h("div.cc-options", {}, ...boxes));
  element.read = () => (checked().length === choices.length ? undefined : checked());
  return element;
}
