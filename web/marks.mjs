/**
 * Marks: the user's statement, kept in `node.properties.capsule`, that a widget is an API input or a node an API
 * output. Pure: it reads and writes node objects only, and is tested without a page.
 *
 * @typedef {{name: string, title?: string, description?: string, required?: boolean, default?: any, minimum?: number,
 *   maximum?: number, step?: number, choices?: any[], maxLength?: number}} Mark  bounds only narrow the node's own
 * @typedef {{v: 1, inputs: Object<string, Mark>, output?: Mark}} NodeMarks  inputs by widget name
 * @typedef {"duplicate"|"missing"|"linked"|"shared"|"group"|"inactive"|"name"|"json"|"bounds"|"default"|""} Problem
 * @typedef {{kind: "input"|"output", node: any, widget: string, mark: Mark, problem: Problem, group: string, own?: boolean,
 *   targets: import("./targets.mjs").Target[]}} Entry  `targets`: what an input sets; `group` as layout.mjs has it; `own`: of an API node, which is a mark by being there and holds its name in a widget of its own
 */

import { isApiNode, nameApiNode, ownEntry } from "./apinodes.mjs";
import { arrange } from "./layout.mjs";
import { faultIn } from "./settings.mjs";
import { pathsOf, targetsOf } from "./targets.mjs";
import { findWidget, isGroupNode, NAME, nodeProblem } from "./widgets.mjs";

export const KEY = "capsule";

const LONGEST = 64;

/** @returns {NodeMarks} the node's marks; what is malformed (another tool's, a newer version's) reads as none */
export function marksOf(node) {
  const stored = node?.properties?.[KEY];
  const marks = { v: 1, inputs: {} };
  if (stored?.v !== 1) return marks;
  for (const [widget, mark] of Object.entries(stored.inputs ?? {})) {
    if (isMark(mark)) marks.inputs[widget] = { ...mark };
  }
  if (isMark(stored.output)) marks.output = { ...stored.output };
  return marks;
}

const isMark = (mark) => typeof mark?.name === "string";

export const isMarked = (node) => Boolean(node?.properties?.[KEY]) && countOf(marksOf(node)) > 0;

const countOf = (marks) => Object.keys(marks.inputs).length + (marks.output ? 1 : 0);

/** Replace the node's marks as one object: that is what makes newer front-ends draw the node again. */
export function setMarks(node, marks) {
  if (countOf(marks) > 0) node.properties[KEY] = marks;
  else delete node.properties[KEY];
}

/** Mark a widget, or with `null` unmark it. */
export function markInput(node, widget, mark) {
  const marks = marksOf(node);
  if (mark) marks.inputs[widget] = mark;
  else delete marks.inputs[widget];
  setMarks(node, marks);
}

/** Mark the node as output, or with `null` unmark it. */
export function markOutput(node, mark) {
  const marks = marksOf(node);
  if (mark) marks.output = mark;
  else delete marks.output;
  setMarks(node, marks);
}

/** Write one entry's mark, or with `null` remove it. */
export function writeMark(entry, mark) {
  if (entry.own) nameApiNode(entry.node, mark);
  else if (entry.kind === "input") markInput(entry.node, entry.widget, mark);
  else markOutput(entry.node, mark);
}

/**
 * Every node from the root down, each subgraph definition once: a mark inside a definition is one mark, however
 * often the definition is used.
 * @returns {Generator<any>}
 */
export function* everyNode(graph, seen = new Set()) {
  if (!graph || seen.has(graph)) return;
  seen.add(graph);
  for (const node of graph.nodes ?? []) {
    yield node;
    if (node.isSubgraphNode?.()) yield* everyNode(node.subgraph, seen);
  }
}

/** @returns {Entry[]} all marks of the graph, inputs before outputs, in the order that the user gave them */
export function collect(graph) {
  const entries = [];
  const paths = pathsOf(graph);
  for (const node of everyNode(graph)) {
    if (isApiNode(node)) entries.push(withTargets(ownEntry(node), paths));
    if (!isMarked(node)) continue;
    const marks = marksOf(node);
    for (const [widget, mark] of Object.entries(marks.inputs)) {
      entries.push(inputEntry({ kind: "input", node, widget, mark }, paths));
    }
    if (marks.output) entries.push({ kind: "output", node, widget: "", mark: marks.output, problem: nodeProblem(node) });
  }
  const ordered = ["input", "output"].flatMap((kind) => arrange(graph, kind, entries.filter((entry) => entry.kind === kind)));
  return flagShared(flagDuplicates(ordered));
}

function flagDuplicates(entries) {
  const seen = new Set();
  for (const entry of entries) {
    const key = `${entry.kind} ${entry.mark.name}`;
    if (seen.has(key)) entry.problem = "duplicate";
    seen.add(key);
  }
  return entries;
}

/** Two inputs that set one value: the second is wrong, as at export. */
function flagShared(entries) {
  const reached = new Set();
  for (const entry of entries.filter(({ kind }) => kind === "input")) {
    const keys = entry.targets.map((target) => target.join("\n"));
    if (keys.some((key) => reached.has(key))) entry.problem ||= "shared";
    for (const key of keys) reached.add(key);
  }
  return entries;
}

const withTargets = (entry, paths) =>
  ({ ...entry, targets: entry.kind === "input" ? targetsOf(paths, entry.node, entry.widget).targets : [] });

function inputEntry(entry, paths) {
  const { targets, free } = targetsOf(paths, entry.node, entry.widget);
  return { ...entry, targets, problem: inputProblem(entry, targets, free) };
}

function inputProblem({ node, widget, mark }, targets, free) {
  if (isGroupNode(node)) return "group";
  if (!findWidget(node, widget) || !targets.length) return "missing";
  if (!free.length) return "linked";
  const fault = faultIn(node, widget, mark);
  return nodeProblem(node) || (fault && (fault === "default" ? fault : "bounds"));
}

/** @returns {string} a name by the rule of NAME, or "" when the text has no letter to begin with */
export function snakeName(text) {
  return String(text ?? "")
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[_0-9]+|_+$/g, "")
    .slice(0, LONGEST)
    .replace(/_+$/, "");
}

/** @returns {string} the first valid name of `wanted` that nobody has taken, else the first with a number */
export function uniqueName(wanted, taken) {
  const names = wanted.filter((name) => NAME.test(name));
  if (names.length === 0) names.push("value");
  const free = names.find((name) => !taken.has(name));
  if (free) return free;
  const base = names[0];
  for (let number = 2; ; number += 1) {
    const suffix = `_${number}`;
    const name = base.slice(0, LONGEST - suffix.length) + suffix;
    if (!taken.has(name)) return name;
  }
}

/** @returns {Set<string>} the names in use by marks of that kind */
export function takenNames(graph, kind) {
  return new Set(collect(graph).flatMap((entry) => (entry.kind === kind ? [entry.mark.name] : [])));
}

/** A good name for a widget: what the user calls it, then with the node's title before it. */
export function proposeInputName(graph, node, widgetName) {
  const widget = findWidget(node, widgetName);
  const own = snakeName(widget?.label) || snakeName(widgetName);
  return uniqueName([own, snakeName(`${node.title} ${own}`)], takenNames(graph, "input"));
}

const OUTPUT_KINDS = [["video", /video|webm|mp4/i], ["audio", /audio/i], ["mask", /mask/i], ["image", /image|png|webp/i]];

/** A good name for an output node: the kind of thing it gives, by its class. */
export function proposeOutputName(graph, node) {
  const type = String(node.comfyClass ?? node.type ?? "");
  const kind = OUTPUT_KINDS.find(([, pattern]) => pattern.test(type))?.[0] ?? "output";
  return uniqueName([kind, snakeName(node.title)], takenNames(graph, "output"));
}

/**
 * Give copies names of their own: of marks with one name, those on `fresh` nodes (just pasted) are renamed.
 * @returns {boolean} whether anything was renamed
 */
export function renameCopies(graph, fresh) {
  let renamed = false;
  for (const kind of ["input", "output"]) {
    const entries = collect(graph).filter((entry) => entry.kind === kind);
    const taken = new Set(entries.filter((entry) => !fresh.has(entry.node)).map((entry) => entry.mark.name));
    for (const entry of entries.filter((each) => fresh.has(each.node))) {
      const name = uniqueName([entry.mark.name], taken);
      if (name !== entry.mark.name) {
        writeMark(entry, { ...entry.mark, name });
        renamed = true;
      }
      taken.add(name);
    }
  }
  return renamed;
}
