/** What a mark may say of its widget, and where inputs stand: run by `node --test`, without a page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as layout from "../../../web/layout.mjs";
import { collect, markInput } from "../../../web/marks.mjs";
import { faultIn, faultOf, limitsOf } from "../../../web/settings.mjs";
import { graph as graphOf } from "./graphs.mjs";

const NUMBER = { kind: "number", minimum: 0, maximum: 10 };
const WHOLE = { kind: "integer", minimum: 1 };
const CHOICE = { kind: "choice", choices: ["a", "b"] };
const TEXT = { kind: "text" };

function node(widgets, input = {}) {
  const made = { id: 1, type: "X", title: "X", mode: 0, properties: {}, widgets, inputs: [] };
  made.constructor = { nodeData: { input: { required: input } } };
  return made;
}

test("settings only narrow what the widget allows", () => {
  const cases = [
    [NUMBER, {}, ""], [NUMBER, { minimum: 0, maximum: 10, step: 0.5, default: 3 }, ""],
    [NUMBER, { minimum: -1 }, "minimum"], [NUMBER, { maximum: 11 }, "maximum"], [NUMBER, { minimum: 6, maximum: 5 }, "cross"],
    [NUMBER, { maximum: NaN }, "whole"], [NUMBER, { step: 0 }, "step"], [NUMBER, { default: 11 }, "default"],
    [NUMBER, { default: NaN }, "default"], [NUMBER, { maximum: 2, default: 3 }, "default"], [NUMBER, { choices: [1] }, "fit"],
    [WHOLE, { minimum: 1.5 }, "whole"], [WHOLE, { default: 2.5 }, "default"], [WHOLE, { maximum: 0 }, "cross"],
    [CHOICE, { choices: ["a"] }, ""], [CHOICE, { choices: [] }, "choices"], [CHOICE, { choices: ["c"] }, "choices"],
    [CHOICE, { choices: ["a"], default: "b" }, "default"], [CHOICE, { default: "b" }, ""], [CHOICE, { minimum: 1 }, "fit"],
    [TEXT, { maxLength: 3, default: "abc" }, ""], [TEXT, { maxLength: 3, default: "abcd" }, "default"],
    [TEXT, { maxLength: 0 }, "length"], [TEXT, { choices: ["x"], default: "y" }, "default"], [TEXT, { choices: [1] }, "choices"],
    [{ kind: "boolean" }, { default: false }, ""], [{ kind: "boolean" }, { default: "no" }, "default"],
    [{ kind: "other" }, { minimum: 1, choices: [] }, ""],
  ];
  for (const [limits, mark, fault] of cases) assert.equal(faultOf({ name: "x", ...mark }, limits), fault, JSON.stringify([limits, mark]));
});

test("a widget's limits are read from the widget, and whether it is whole from the node's definition", () => {
  const widgets = [
    { name: "steps", type: "number", options: { min: 1, max: 99, precision: 0 } },
    { name: "cfg", type: "slider", options: { min: 0, max: Number.MAX_VALUE, precision: 0 } },
    { name: "sampler", type: "combo", options: { values: () => ["euler"] } },
    { name: "tiled", type: "toggle" }, { name: "text", type: "customtext" }, { name: "curve", type: "CURVE" },
  ];
  const made = node(widgets, { steps: ["INT"], cfg: ["FLOAT"] });
  assert.deepEqual(limitsOf(made, "steps"), { kind: "integer", minimum: 1, maximum: 99 });
  assert.deepEqual(limitsOf(made, "cfg"), { kind: "number", minimum: 0, maximum: undefined });
  assert.deepEqual(limitsOf(made, "sampler"), { kind: "choice", choices: ["euler"] });
  assert.deepEqual(widgets.slice(3).map(({ name }) => limitsOf(made, name).kind), ["boolean", "text", "other"]);
});

test("a value in the editor that the mark shuts out is a problem of the mark", () => {
  const made = node([{ name: "steps", type: "number", value: 30, options: { min: 1, max: 99, precision: 0 } }]);
  assert.equal(faultIn(made, "steps", { name: "steps" }), "");
  assert.equal(faultIn(made, "steps", { name: "steps", maximum: 20 }), "default");
  assert.equal(faultIn(made, "steps", { name: "steps", maximum: 20, default: 20 }), "");
  markInput(made, "steps", { name: "steps", maximum: 100 });
  assert.equal(collect(graphOf(made))[0].problem, "bounds");
});

test("several chosen at once are each among the choices", () => {
  const made = node([{ name: "files", type: "combo", value: ["a", "b"], options: { values: ["a", "b", "c"] } }]);
  assert.equal(faultIn(made, "files", { name: "files", choices: ["a", "b"] }), "");
  assert.equal(faultIn(made, "files", { name: "files", choices: ["a"] }), "default");
});

test("inputs stand where the layout puts them, others after them", () => {
  const made = node(["a", "b", "c", "d"].map((name) => ({ name, type: "number", options: {} })));
  const graph = graphOf(made);
  for (const name of ["a", "b", "c", "d"]) markInput(made, name, { name });
  layout.writeOrder(graph, "input", [{ mark: { name: "c" }, group: "Size" }, { mark: { name: "a" }, group: "" }, { mark: { name: "c" } }]);
  assert.deepEqual(graph.extra.capsule, { v: 1, inputs: [{ name: "c", group: "Size" }, { name: "a" }, { name: "c" }] });
  assert.deepEqual(collect(graph).map((entry) => `${entry.mark.name} ${entry.group}`), ["c Size", "a ", "b ", "d "]);
  assert.equal(layout.isPlaced(graph, "input", "a"), true);
  assert.equal(layout.isPlaced(graph, "output", "a"), false);
});

test("a layout that says nothing is not kept, a malformed one says nothing", () => {
  const graph = { extra: { other: 1 } };
  layout.writeLayout(graph, { ...layout.layoutOf(graph), title: "Cats" });
  assert.deepEqual(graph.extra, { other: 1, capsule: { v: 1, title: "Cats" } });
  layout.writeLayout(graph, { ...layout.layoutOf(graph), title: "" });
  assert.deepEqual(graph.extra, { other: 1 });
  for (const capsule of [null, 1, [], { v: 2, title: "x" }, { v: 1, title: 3, inputs: 4, outputs: [null, {}] }]) {
    assert.deepEqual(layout.layoutOf({ extra: { capsule } }), { v: 1, inputs: [], outputs: [] });
  }
});
