/** Marks as pure data: run by `node --test`, without a page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as own from "../../../web/marks.mjs";
import * as widgets from "../../../web/widgets.mjs";
import { graph, link, node } from "./graphs.mjs";

const marks = { ...own, ...widgets };

const names = (entries) => entries.map((entry) => `${entry.kind} ${entry.mark.name}${entry.problem && ` ${entry.problem}`}`);

test("a mark is one object in the node's properties, and is gone with the last one", () => {
  const sampler = node(1, ["seed", "steps"]);
  marks.markInput(sampler, "seed", { name: "seed" });
  marks.markOutput(sampler, { name: "image" });
  assert.deepEqual(sampler.properties.capsule, { v: 1, inputs: { seed: { name: "seed" } }, output: { name: "image" } });
  marks.markInput(sampler, "seed", null);
  marks.markOutput(sampler, null);
  assert.ok(!("capsule" in sampler.properties));
});

test("a change replaces the object, so that front-ends see it", () => {
  const sampler = node(1, ["seed"]);
  marks.markInput(sampler, "seed", { name: "seed" });
  const before = sampler.properties.capsule;
  marks.markInput(sampler, "steps", { name: "steps" });
  assert.notEqual(sampler.properties.capsule, before);
  assert.deepEqual(before.inputs, { seed: { name: "seed" } });
});

test("what else a mark says is kept", () => {
  const sampler = node(1, ["seed"], { properties: { capsule: { v: 1, inputs: { seed: { name: "a", maximum: 9 } } } } });
  const [entry] = marks.collect(graph(sampler));
  marks.writeMark(entry, { ...entry.mark, name: "b" });
  assert.deepEqual(sampler.properties.capsule.inputs.seed, { name: "b", maximum: 9 });
});

test("malformed marks read as none", () => {
  for (const capsule of [null, 3, "x", [], {}, { v: 2 }, { v: 1, inputs: 4 }, { v: 1, inputs: { a: null, b: {} }, output: 1 }]) {
    const sampler = node(1, ["seed"], { properties: { capsule } });
    assert.equal(marks.isMarked(sampler), false, JSON.stringify(capsule));
    assert.deepEqual(marks.collect(graph(sampler)), []);
  }
});

test("marks are collected through subgraphs, a definition that is used twice once", () => {
  const inner = node(3, ["text"]);
  marks.markInput(inner, "text", { name: "prompt" });
  const definition = graph(inner);
  const host = (id) => node(id, [], { isSubgraphNode: () => true, subgraph: definition });
  const save = node(9);
  marks.markOutput(save, { name: "image" });
  const found = marks.collect(graph(save, host(1), host(2)));
  assert.deepEqual(names(found), ["input prompt", "output image"]);
});

test("problems are found: taken name, lost widget, link, bypass", () => {
  const linked = node(2, ["cfg"]);
  const nodes = [node(1, ["seed"]), linked, node(3, []), node(4, ["seed"]), node(5, ["steps"], { mode: 4 })];
  marks.markInput(nodes[0], "seed", { name: "seed" });
  marks.markInput(linked, "cfg", { name: "cfg" });
  marks.markInput(nodes[2], "gone", { name: "gone" });
  marks.markInput(nodes[3], "seed", { name: "seed" });
  marks.markInput(nodes[4], "steps", { name: "steps" });
  assert.deepEqual(names(marks.collect(link(graph(...nodes), 1, 2))), [
    "input seed", "input cfg linked", "input gone missing", "input seed duplicate", "input steps inactive",
  ]);
});

test("buttons, previews and seed controls cannot be marked", () => {
  const sampler = node(1);
  sampler.widgets = [
    { name: "seed", type: "number" }, { name: "control_after_generate", type: "combo", serialize: false },
    { name: "upload", type: "button" }, { name: "preview", type: "custom", options: { serialize: false } },
  ];
  assert.deepEqual(marks.markableWidgets(sampler).map((widget) => widget.name), ["seed"]);
  assert.deepEqual(marks.markableWidgets({ ...sampler, isVirtualNode: true }), []);
  assert.deepEqual(marks.markableWidgets({ ...sampler, last_serialization: {} }), []); // its class is not installed
});

test("names are made from any text, by the contract's rule", () => {
  const cases = {
    "Positive Prompt": "positive_prompt", filenamePrefix: "filename_prefix", "  42 is it ": "is_it",
    "Größer (px)": "gro_er_px", "提示": "", ["a".repeat(80)]: "a".repeat(64), ckpt_name: "ckpt_name",
  };
  for (const [text, name] of Object.entries(cases)) assert.equal(marks.snakeName(text), name, text);
});

test("a proposed name is free, valid, and says what the widget is", () => {
  const first = node(1, ["text"], { title: "Positive" });
  const second = node(2, ["text"], { title: "Negative" });
  const third = node(3, ["text", "提示"], { title: "Negative" });
  const all = graph(first, second, third);
  for (const each of [first, second, third]) {
    marks.markInput(each, "text", { name: marks.proposeInputName(all, each, "text") });
  }
  assert.deepEqual(names(marks.collect(all)), ["input text", "input negative_text", "input text_2"]);
  assert.equal(marks.proposeInputName(all, third, "提示"), "negative");
  for (const entry of marks.collect(all)) assert.match(entry.mark.name, marks.NAME);
});

test("an output is named after what it gives", () => {
  const cases = { SaveImage: "image", PreviewImage: "image", SaveAudioMP3: "audio", SaveVideo: "video", SaveLatent: "output" };
  for (const [comfyClass, name] of Object.entries(cases)) {
    assert.equal(marks.proposeOutputName(graph(), node(1, [], { comfyClass })), name);
  }
});

test("a long name that is taken keeps within the rule", () => {
  const long = "a".repeat(64);
  const name = marks.uniqueName([long], new Set([long]));
  assert.match(name, marks.NAME);
  assert.notEqual(name, long);
});

test("pasted copies get names of their own, the originals keep theirs", () => {
  const original = node(1, ["seed"]);
  marks.markInput(original, "seed", { name: "seed" });
  marks.markOutput(original, { name: "image" });
  const copies = [2, 3].map((id) => node(id, ["seed"], { properties: structuredClone(original.properties) }));
  const all = graph(copies[0], original, copies[1]);
  assert.equal(marks.renameCopies(all, new Set(copies)), true);
  assert.deepEqual(names(marks.collect(all)), [
    "input seed_2", "input seed", "input seed_3", "output image_2", "output image", "output image_3",
  ]);
  assert.equal(marks.renameCopies(all, new Set(copies)), false);
});

test("an API node is a mark by being there, and its name is its widget's", () => {
  const named = (id, type, name, extra = {}) =>
    node(id, [], { type, widgets: [{ name: "name", value: name }, { name: "value", value: 1 }], ...extra });
  const text = named(1, "CapsuleText", "prompt");
  const output = named(2, "CapsuleOutputImage", "picture");
  const open = graph(output, text, named(3, "CapsuleSeed", "Not good"), named(4, "CapsuleFloat", "x", { mode: 2 }));
  assert.deepEqual(names(marks.collect(open)), ["input prompt", "input Not good name", "input x inactive", "output picture"]);
  const [entry] = marks.collect(graph(text));
  marks.writeMark(entry, { ...entry.mark, name: "words" });
  marks.writeMark(entry, null);
  assert.equal(text.widgets[0].value, "words");
  assert.ok(!("capsule" in text.properties));
});

test("an API node whose JSON is none says so", () => {
  const holding = (id, value) => {
    const made = node(id, [], { type: "CapsuleJSON", widgets: [{ name: "name", value: `n${id}` }, { name: "value", value }] });
    made.constructor = { nodeData: { input: { required: { value: ["STRING", { capsule_json: true }] } } } };
    return made;
  };
  const open = graph(holding(1, "{'a': 1}"), holding(2, '{"a": [1]}'), holding(3, ""));
  assert.deepEqual(names(marks.collect(open)), ["input n1 json", "input n2", "input n3 json"]);
});

test("a copy of an API node gets a name of its own, and so does a mark beside it", () => {
  const api = (id) => node(id, [], { type: "CapsuleText", widgets: [{ name: "name", value: "prompt" }] });
  const sampler = node(3, ["prompt"]);
  const [first, copy] = [api(1), api(2)];
  assert.deepEqual(names(marks.collect(graph(first, copy))), ["input prompt", "input prompt duplicate"]);
  assert.ok(marks.renameCopies(graph(first, copy), new Set([copy])));
  assert.equal(copy.widgets[0].value, "prompt_2");
  assert.equal(marks.proposeInputName(graph(first, sampler), sampler, "prompt"), "ksampler_prompt");
});
