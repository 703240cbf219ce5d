/** One execution on screen: its state and progress while it lives, its outputs or its problem at the end. */
import { api } from "./api.mjs";
import { duration, h } from "./dom.mjs";
import { shownOutputs } from "./outputs.mjs";

const STATES = {
  queued: "Waiting in the queue", running: "Running", succeeded: "Done", failed: "Failed", cancelled: "Cancelled", lost: "Lost",
};
const ENDED = new Set(["succeeded", "failed", "cancelled", "lost"]);

/**
 * @param {(execution: object) => void} changed  when it ends
 * @param {(parameters: object) => void} again  to put its parameters into the form
 */
export function createRun(changed, again) {
  const element = h("section.run", { "aria-live": "polite", "aria-label": "Result" });
  const preview = h("img.preview", { alt: "Preview" }); // one element, so that the next picture does not flicker
  let source = null, id = "";

  /** Follow the execution `id`; "" shows none. */
  async function show(next) {
    source?.close();
    id = next;
    preview.removeAttribute("src");
    if (!id) return element.replaceChildren(h("p.note", {}, "Results are shown here."));
    try {
      const execution = await api.get(`/executions/${id}`);
      if (id !== next) return;
      draw(execution);
      if (!ENDED.has(execution.state)) follow(execution);
    } catch (error) {
      element.replaceChildren(h("p.failure", {}, error.message));
    }
  }

  function follow(execution) {
    const told = { ...execution };
    source = new EventSource(`/executions/${execution.id}/events`); // it comes back by itself after a cut
    const update = (name) => (event) => {
      Object.assign(told, name === "progress" ? { progress: JSON.parse(event.data) } : JSON.parse(event.data));
      draw(told);
    };
    source.addEventListener("state", update("state"));
    source.addEventListener("progress", update("progress"));
    source.addEventListener("preview", ({ lastEventId: number }) => {
      preview.src = `/executions/${execution.id}/preview?number=${number}`;
      draw(told);
    });
    source.addEventListener("end", (event) => {
      source.close();
      const ended = JSON.parse(event.data);
      if (ended.id !== id) return;
      draw(ended);
      changed(ended);
    });
  }

  function draw(execution) {
    const { state, problem, outputs, parameters } = execution;
    const live = !ENDED.has(state);
    element.replaceChildren(...[
      h("header", {}, h("h2", { "data-state": state }, STATES[state] ?? state), h("span.note", {}, took(execution)),
        live ? h("button.plain", { type: "button", disabled: execution.cancel_requested, onclick: cancel }, "Cancel")
          : h("button.plain", { type: "button", onclick: () => again(parameters) }, "Use these inputs")),
      live && progressOf(execution.progress),
      live && preview.hasAttribute("src") && preview,
      problem && h("div.failure", {}, h("b", {}, problem.title), h("p", {}, problem.detail), problem.cure && h("p", {}, problem.cure)),
      ...shownOutputs(outputs ?? {}),
    ].filter(Boolean));
  }

  async function cancel(event) {
    event.target.disabled = true;
    try {
      const now = await api.post(`/executions/${id}/cancel`, {});
      if (ENDED.has(now.state)) draw(now);
    } catch (error) {
      if (error.code !== "already-finished") element.append(h("p.failure", {}, error.message));
    }
  }

  show("");
  return { element, show };
}

/** A bar for the whole, by the nodes that are done, and words for the node that runs. */
function progressOf({ nodes_done: done = 0, nodes_total: total = 0, node, value, max } = {}) {
  const inner = max > 1 ? value / max : 0;
  const bar = h("progress", { max: 1, value: total ? Math.min(1, (done + inner) / total) : null, "aria-label": "Progress" });
  return h("div.progress", {}, bar, h("span.note", {}, [node?.title, max > 1 && `${value} of ${max}`].filter(Boolean).join(" · ")));
}

function took({ started_at: started, finished_at: finished }) {
  return started && finished ? `in ${duration((Date.parse(finished) - Date.parse(started)) / 1000)}` : "";
}
