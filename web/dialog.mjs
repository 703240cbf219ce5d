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
  const { mark, kind, own } = entry;
  const name = textField("edit.name", mark.name, { maxlength: 64 });
  const title = textField("edit.title", mark.title, { placeholder: mark.name });
  const description = longField("edit.description", mark.description);
  const group = textField("edit.group", entry.group, { list: "cc-groups" });
  const groups = [...new Set(store.entries.map((each) => each.group).filter(Boolean))];
  const parts = kind === "input" && !own ? createSettings(entry) : { elements: [], read: () => ({}) };
  open(own || kind === "output" ? t(kind === "input" ? "edit.input" : "edit.output") : t("edit.widget", { widget: findWidget(entry.node, entry.widget)?.label || entry.widget }), [
    name,
    ...(own ? [h("p.cc-note.cc-flush", {}, t("edit.own"))] : [title, description]),
    ...(kind === "input" ? [group, h("datalist", { id: "cc-groups" }, ...groups.map((each) => h("option", { value: each })))] : []),
    ...parts.elements,
  ], () => {
    const wanted = name.read().trim();
    const wrong = wanted === mark.name ? "" : reasonAgainst(wanted, entry, store.entries);
    if (wrong) return wrong;
    const said = own ? {} : { ...parts.read(), title: title.read().trim(), description: description.read().trim() };
    const next = Object.fromEntries(Object.entries({ ...mark, ...said, name: wanted }).filter(([, value]) => isSaid(value)));
    const fault = own || kind === "output" || !findWidget(entry.node, entry.widget) ? "" : faultOf(next, limitsOf(entry.node, entry.widget));
    if (fault) return t(`fault.${fault}`);
    store.edit(entry, next, kind === "input" ? group.read().trim() : "");
    return "";
  });
}

/** Edit what the whole API is called. */
export function editAbout(store, graph) {
  const layout = layoutOf(graph);
  const title = textField("edit.title", layout.title);
  const description = longField("edit.description", layout.description);
  open(t("edit.about"), [title, description], () => {
    store.describe(title.read().trim(), description.read().trim());
    return "";
  });
}

const isSaid = (value) => value !== undefined && value !== null && value !== "";

/** The fields for what may be sent, by the kind of the widget. */
function createSettings({ node, widget, mark }) {
  const limits = limitsOf(node, widget);
  const current = findWidget(node, widget)?.value;
  const fields = { required: checkField("edit.required", mark.required) };
  if (limits.kind === "integer" || limits.kind === "number") {
    fields.default = numberField("edit.default", mark.default, current);
    fields.minimum = numberField("edit.minimum", mark.minimum, limits.minimum);
    fields.maximum = numberField("edit.maximum", mark.maximum, limits.maximum);
    fields.step = numberField("edit.step", mark.step);
  } else if (limits.kind === "choice") {
    fields.default = selectField("edit.default", mark.default, limits.choices, current);
    fields.choices = choicesField(mark.choices, limits.choices);
  } else if (limits.kind === "boolean") {
    fields.default = selectField("edit.default", mark.default, [true, false], current);
  } else if (limits.kind === "text") {
    fields.default = longField("edit.default", mark.default, String(current ?? ""));
    fields.maxLength = numberField("edit.maxLength", mark.maxLength);
    fields.choices = linesField("edit.choices", mark.choices);
  }
  const { required, ...others } = fields;
  const numbers = ["minimum", "maximum", "step"].filter((key) => key in others);
  const rest = Object.keys(others).filter((key) => !numbers.includes(key) && key !== "default");
  return {
    elements: [
      others.default,
      ...(numbers.length ? [h("div.cc-columns", {}, ...numbers.map((key) => others[key]))] : []),
      ...rest.map((key) => others[key]),
      required,
    ].filter(Boolean),
    read: () => Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.read()])),
  };
}

/** @param {() => string} save writes, or says what is wrong */
function open(title, children, save) {
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
