/** The dialog of one node: which of its widgets are API inputs, and whether it is an API output. */
import { openDialog } from "./dialog.mjs";
import { h } from "./dom.mjs";
import { marksOf } from "./marks.mjs";
import { t } from "./strings.mjs";
import { isLinked, isOutputNode, markableWidgets } from "./widgets.mjs";

/**
 * @param {import("./store.mjs").Store} store
 * @param {any} node
 */
export function markNode(store, node) {
  const marks = marksOf(node);
  const widgets = markableWidgets(node);
  const inputs = widgets.map((widget) => {
    const marked = widget.name in marks.inputs;
    return checkbox(widget.label || widget.name, marked, !marked && isLinked(node, widget.name));
  });
  const output = isOutputNode(node) && checkbox(t("menu.addOutput"), Boolean(marks.output), false);
  openDialog(t("mark.title", { node: node.title || node.type }), [
    inputs.length > 0 && h("fieldset.cc-choices", {}, h("legend", {}, t("menu.inputs")), h("div.cc-options", {}, ...inputs)),
    output,
  ], () => {
    const wanted = widgets.filter((_, index) => inputs[index].firstChild.checked).map((widget) => widget.name);
    store.setMarks(node, wanted, Boolean(output && output.firstChild.checked));
    return "";
  });
}

function checkbox(label, checked, disabled) {
  const box = h("input", { type: "checkbox", disabled });
  box.checked = checked;
  return h("label.cc-check", {}, box, label);
}
