/** App Mode's selection, in and out: run by `node --test`, without a page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readSelection, writeSelection } from "../../../web/appmode.mjs";
import { markableWidgets } from "../../../web/widgets.mjs";
import { graph as graphOf, host, link, node } from "./graphs.mjs";

function graph(linearData) {
  const definition = link(graphOf(node("7", ["text", "a:b c"])), -10, "7");
  Object.assign(definition, { id: "def", inputs: [{ name: "prompt" }] });
  return Object.assign(graphOf(node("1", ["ckpt_name"]), node("2"), host("9", definition)), { id: "root", extra: { linearData } });
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

test("of two promoted widgets of one name, the second is meant by its inner node", () => {
  const definition = graphOf(node("7", ["text"]), node("8", ["text"]));
  const proxyWidgets = [["7", "text"], ["8", "text"]];
  const old = host("9", definition, { properties: { proxyWidgets }, widgets: [{ name: "text", serialize: false }, { name: "text" }] });
  const root = Object.assign(graphOf(old), { id: "root", extra: { linearData: { inputs: [[7, "text"], [8, "text"]] } } });
  assert.deepEqual(shown(readSelection(root)), [["9 text", "8 text"], [], 0]);
  assert.deepEqual(markableWidgets(old).map(({ serialize }) => serialize), [false], "by name, so the first of them");
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
