/** App Mode's selection, in and out: run by `node --test`, without a page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readSelection, writeSelection } from "../../../web/appmode.mjs";

const node = (id, names, extra = {}) => ({
  id, mode: 0, widgets: names.map((name) => ({ name })), inputs: names.map((name) => ({ name, widget: { name } })), ...extra,
});

function graph(linearData) {
  const inner = node("7", ["text", "a:b c"]);
  const definition = { id: "def", nodes: [inner] };
  inner.graph = definition;
  const host = node("9", ["prompt"], {
    isSubgraphNode: () => true, subgraph: definition,
    resolveSubgraphInputLinks: (slot) => (slot === 0 ? [{ inputNode: inner, input: { name: "text", widget: { name: "text" } } }] : []),
  });
  const root = { id: "root", nodes: [node("1", ["ckpt_name"]), node("2", []), host], extra: { linearData } };
  for (const each of root.nodes) each.graph = root;
  return root;
}

const shown = ({ inputs, outputs, unresolved }) =>
  [inputs.map(({ node: { id }, widget, description }) => [id, widget, description].filter(Boolean).join(" ")), outputs.map(({ id }) => id), unresolved];

test("every form of an entry is read", () => {
  const read = (inputs, outputs = []) => shown(readSelection(graph({ inputs, outputs })));
  assert.deepEqual(read([[1, "ckpt_name"]], [2]), [["1 ckpt_name"], ["2"], 0]);
  assert.deepEqual(read([["1", "ckpt_name", { description: "Which." }]], ["2", "root:2"]), [["1 ckpt_name Which."], ["2"], 0]);
  assert.deepEqual(read([["root:1:ckpt_name", "ckpt_name"]]), [["1 ckpt_name"], [], 0]);
  assert.deepEqual(read([["root:9:prompt", "x"]]), [["9 prompt"], [], 0]);
  assert.deepEqual(read([["def:7:a%3Ab%20c", "x"]]), [["7 a:b c"], [], 0]);
  assert.deepEqual(read([[7, "text"]]), [["9 prompt"], [], 0]); // the host that shows it
});

test("what leads nowhere is counted, and never guessed", () => {
  const read = (data) => shown(readSelection(graph(data)));
  assert.deepEqual(read({ inputs: [[1, "gone"], [5, "x"], 4, [1], null], outputs: [8] }), [[], [], 6]);
  for (const data of [undefined, null, 4, [], { inputs: 3, outputs: "x" }]) assert.deepEqual(read(data), [[], [], 0]);
});

test("the selection is written as the running front-end knows it", () => {
  const root = graph();
  const [first, second, host] = root.nodes;
  const entries = [
    { kind: "input", node: first, widget: "ckpt_name", mark: { name: "model", description: "Which." }, problem: "" },
    { kind: "input", node: host, widget: "prompt", mark: { name: "prompt" }, problem: "" },
    { kind: "input", node: host.subgraph.nodes[0], widget: "a:b c", mark: { name: "inner" }, problem: "" },
    { kind: "input", node: first, widget: "gone", mark: { name: "gone" }, problem: "missing" },
    { kind: "output", node: second, widget: "", mark: { name: "image" }, problem: "" },
  ];
  assert.equal(writeSelection(root, entries, "1.58.1"), 2);
  assert.deepEqual(root.extra.linearData, {
    inputs: [["root:1:ckpt_name", "ckpt_name", { description: "Which." }], ["root:9:prompt", "prompt"]], outputs: ["2"],
  });
  assert.deepEqual(shown(readSelection(root)), [["1 ckpt_name Which.", "9 prompt"], ["2"], 0]);
  assert.equal(writeSelection(root, entries, "1.45.20"), 3); // a promoted widget stands by its inner node there
  assert.deepEqual(root.extra.linearData, { inputs: [[1, "ckpt_name"]], outputs: [2] });
});
