/** The API nodes: nodes of ours that are inputs and outputs of the API by being there. Pure, as marks are. */
import { findWidget, isLinked, NAME, nodeProblem } from "./widgets.mjs";

/** Class → the widget that the API sets; "" for outputs. As packager/workflow/api_nodes.py has them. */
export const API_NODES = {
  CapsuleText: "value",
  CapsuleInteger: "value",
  CapsuleFloat: "value",
  CapsuleBoolean: "value",
  CapsuleChoice: "value",
  CapsuleSeed: "value",
  CapsuleImage: "image",
  CapsuleAudio: "audio",
  CapsuleVideo: "video",
  CapsuleFile: "file",
  CapsuleJSON: "value",
  CapsuleOutputImage: "",
  CapsuleOutputAnimation: "",
  CapsuleOutputVideo: "",
  CapsuleOutputAudio: "",
  CapsuleOutput3D: "",
  CapsuleOutputText: "",
  CapsuleOutputJSON: "",
  CapsuleOutputFile: "",
};

const classOf = (node) => String(node?.comfyClass ?? node?.type ?? "");

export const isApiNode = (node) => Object.hasOwn(API_NODES, classOf(node));

/** @returns {import("./marks.mjs").Entry} what an API node is by itself */
export function ownEntry(node) {
  const widget = API_NODES[classOf(node)];
  const mark = { name: String(findWidget(node, "name")?.value ?? "") };
  return { kind: widget ? "input" : "output", node, widget, mark, problem: ownProblem(node, widget, mark), own: true };
}

function ownProblem(node, widget, mark) {
  if (isLinked(node, "name") || (widget && isLinked(node, widget))) return "linked";
  if (!NAME.test(mark.name)) return "name";
  return nodeProblem(node) || (isBrokenJson(node, widget) ? "json" : "");
}

/** Whether the widget is to hold the text of a JSON value, as its definition says, and holds none. */
function isBrokenJson(node, widget) {
  if (!node.constructor?.nodeData?.input?.required?.[widget]?.[1]?.capsule_json) return false;
  try {
    JSON.parse(findWidget(node, widget)?.value);
    return false;
  } catch {
    return true;
  }
}

/** Write its name into its own widget. */
export function nameApiNode(node, mark) {
  const widget = findWidget(node, "name");
  if (!widget || !mark) return; // it is a mark for as long as it is there
  widget.value = mark.name;
  widget.callback?.(mark.name);
}
