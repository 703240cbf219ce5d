/** What a mark may say of its widget: never more than the node itself allows. Pure, as marks are. */
import { findWidget } from "./widgets.mjs";

/** @typedef {{kind: "integer"|"number"|"choice"|"boolean"|"text"|"other", minimum?: number, maximum?: number, choices?: any[]}} Limits */

/** @returns {Limits} what the widget allows */
export function limitsOf(node, widgetName) {
  const widget = findWidget(node, widgetName);
  const { min, max, precision, values } = widget?.options ?? {};
  switch (String(widget?.type).toLowerCase()) {
    case "number":
    case "slider":
    case "gradientslider":
    case "knob":
      return { kind: isWhole(node, widgetName, precision) ? "integer" : "number", minimum: finite(min), maximum: finite(max) };
    case "combo": {
      const choices = typeof values === "function" ? values(widget, node) : values;
      return Array.isArray(choices) ? { kind: "choice", choices } : { kind: "other" };
    }
    case "toggle":
      return { kind: "boolean" };
    case "text":
    case "string":
    case "customtext":
      return { kind: "text" };
    default:
      return { kind: "other" };
  }
}

/** By the node's own definition; a promoted widget has none, and shows whole numbers where it takes no others. */
function isWhole(node, widgetName, precision) {
  const { required, optional } = node.constructor?.nodeData?.input ?? {};
  const type = (required?.[widgetName] ?? optional?.[widgetName])?.[0];
  return type ? type === "INT" : precision === 0;
}

const finite = (value) => (Number.isFinite(value) && Math.abs(value) < Number.MAX_VALUE ? value : undefined);

/** Of which kind of widget each setting can be said. */
const FITS = {
  minimum: ["integer", "number"],
  maximum: ["integer", "number"],
  step: ["integer", "number"],
  choices: ["choice", "text"],
  maxLength: ["text"],
};

/**
 * What is wrong with a mark's settings; "" when nothing is. A widget whose kind is not known here is left to the
 * export, which knows the node's own definition.
 * @returns {"fit"|"whole"|"minimum"|"maximum"|"cross"|"step"|"choices"|"length"|"default"|""}
 */
export function faultOf(mark, limits) {
  const { kind } = limits;
  if (kind === "other") return "";
  if (Object.entries(FITS).some(([key, kinds]) => given(mark[key]) && !kinds.includes(kind))) return "fit";
  return boundsFault(mark, limits) || (given(mark.default) && !allows(mark, limits, mark.default) ? "default" : "");
}

const given = (value) => value !== undefined && value !== null;

function boundsFault(mark, limits) {
  const numbers = [mark.minimum, mark.maximum, mark.step].filter(given);
  if (!numbers.every(Number.isFinite) || (limits.kind === "integer" && !numbers.every(Number.isInteger))) return "whole";
  if (given(mark.minimum) && mark.minimum < (limits.minimum ?? -Infinity)) return "minimum";
  if (given(mark.maximum) && mark.maximum > (limits.maximum ?? Infinity)) return "maximum";
  if (lowest(mark, limits) > highest(mark, limits)) return "cross";
  if (given(mark.step) && mark.step <= 0) return "step";
  if (given(mark.maxLength) && !(Number.isInteger(mark.maxLength) && mark.maxLength > 0)) return "length";
  if (!given(mark.choices)) return "";
  const known = limits.kind === "choice" ? (choice) => limits.choices.includes(choice) : (choice) => typeof choice === "string";
  return mark.choices.length > 0 && mark.choices.every(known) ? "" : "choices";
}

const lowest = (mark, limits) => mark.minimum ?? limits.minimum ?? -Infinity;
const highest = (mark, limits) => mark.maximum ?? limits.maximum ?? Infinity;

function allows(mark, limits, value) {
  switch (limits.kind) {
    case "integer":
    case "number": {
      const fits = limits.kind === "integer" ? Number.isInteger(value) : Number.isFinite(value);
      return fits && value >= lowest(mark, limits) && value <= highest(mark, limits);
    }
    case "choice":
      return [value].flat().every((each) => (mark.choices ?? limits.choices).includes(each));
    case "boolean":
      return typeof value === "boolean";
    default:
      if (typeof value !== "string") return false;
      return mark.choices ? mark.choices.includes(value) : value.length <= (mark.maxLength ?? Infinity);
  }
}

/** What a caller gets who leaves the input out: the mark's default, or else what stands in the editor. */
const valueOf = (node, widgetName, mark) => mark.default ?? findWidget(node, widgetName)?.value;

/** @returns {ReturnType<typeof faultOf>} also when the mark does not allow the value that stands in the editor */
export function faultIn(node, widgetName, mark) {
  const limits = limitsOf(node, widgetName);
  const fault = faultOf(mark, limits);
  if (fault || limits.kind === "other" || !Object.keys(FITS).some((key) => given(mark[key]))) return fault;
  const value = valueOf(node, widgetName, mark);
  return given(value) && !allows(mark, limits, value) ? "default" : "";
}
