/** What a mark sets, in the live graph. `tests/browser/test_targets.py` proves it on real workflows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, markInput } from "../../../web/marks.mjs";
import { pathsOf, targetsOf } from "../../../web/targets.mjs";
import { isLinked } from "../../../web/widgets.mjs";
import { graph, host, link, node } from "./graphs.mjs";

const targets = (root, each, widget) => targetsOf(pathsOf(root), each, widget).targets;

/** A definition whose one input `steps` sets inner node 3. */
function definition(inner = node(3, ["steps", "cfg"])) {
  const made = link(graph(inner), -10, inner.id);
  made.inputs = [{ name: "steps" }];
  return made;
}

test("a definition used twice: its mark has two targets, the hosts' have one each", () => {
  const made = definition();
  const [inner] = made.nodes;
  const root = graph(host(7, made), host(8, made));
  assert.deepEqual(targets(root, inner, "cfg"), [["7:3", "cfg"], ["8:3", "cfg"]]);
  assert.deepEqual(targets(root, root.nodes[0], "steps"), [["7:3", "steps"]]);
  assert.deepEqual(targets(root, root.nodes[1], "steps"), [["8:3", "steps"]]);
});

test("nested hosts are followed to the innermost widget", () => {
  const middle = definition(host(5, definition()));
  const root = graph(host(7, middle));
  assert.deepEqual(targets(root, root.nodes[0], "steps"), [["7:5:3", "steps"]]);
});

test("a host of front-ends before 1.47 names its inner widgets", () => {
  const made = graph(node(3, ["cfg"]));
  const old = host(7, made, { properties: { proxyWidgets: [["3", "cfg"]] } });
  const root = graph(old);
  assert.deepEqual(targets(root, old, "cfg"), [["7:3", "cfg"]]);
  assert.deepEqual(targets(root, old, "3: cfg"), [["7:3", "cfg"]]);
  assert.deepEqual(targets(root, old, "other"), []);
});

test("a primitive sets what it feeds, through a reroute, and its control nothing", () => {
  const primitive = node(1, ["value"], { type: "PrimitiveNode", isVirtualNode: true });
  const reroute = node(2, [], { type: "Reroute", inputs: [{ name: "" }] });
  const root = graph(primitive, reroute, node(3, ["steps"]), node(4, ["steps"]));
  link(link(link(root, 1, 2), 2, 3), 1, 4);
  assert.deepEqual(targets(root, primitive, "value"), [["3", "steps"], ["4", "steps"]]);
  assert.deepEqual(targets(root, primitive, "control_after_generate"), []);
  assert.equal(isLinked(root.nodes[3], "steps"), false, "its value is the primitive's, which a caller may set");
});

test("a definition that holds itself ends", () => {
  const made = graph(node(3, ["cfg"]));
  made.nodes.push(host(4, made));
  made.nodes[1].graph = made;
  assert.ok(targets(graph(host(7, made)), made.nodes[0], "cfg").length < 100);
});

test("what a node feeds cannot be set, wherever the link comes in", () => {
  const made = definition();
  const [inner] = made.nodes;
  const [fed, free] = [host(7, made), host(8, made)];
  const root = link(graph(node(1), fed, free), 1, 7);
  markInput(inner, "steps", { name: "inner" });
  markInput(fed, "steps", { name: "fed" });
  const problems = Object.fromEntries(collect(root).map(({ mark, problem }) => [mark.name, problem]));
  assert.deepEqual(problems, { fed: "linked", inner: "shared" }, "the inner one sets the other host's");
});

test("two marks that reach one target are an error, on the second", () => {
  const made = definition();
  const root = graph(host(7, made));
  markInput(root.nodes[0], "steps", { name: "outer" });
  markInput(made.nodes[0], "steps", { name: "inner" });
  assert.deepEqual(collect(root).map(({ mark, problem }) => [mark.name, problem]), [["outer", ""], ["inner", "shared"]]);
});

test("a group node is to be made a subgraph first", () => {
  const old = node(1, ["seed"], { type: "workflow>mine" });
  markInput(old, "seed", { name: "seed" });
  assert.deepEqual(collect(graph(old)).map(({ problem }) => problem), ["group"]);
});
