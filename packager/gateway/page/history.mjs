/** Earlier runs of a workflow, the newest first; more on request. */
import { api } from "./api.mjs";
import { h } from "./dom.mjs";

const PAGE = 12;

/** @param {string} workflow its name @param {(id: string) => void} open */
export function createHistory(workflow, open) {
  const list = h("ul", {});
  const more = h("button.plain", { type: "button", hidden: true, onclick: () => load(false) }, "Older");
  const element = h("section.history", { "aria-label": "Earlier runs" }, h("h2", {}, "Earlier runs"), list, more);
  let last = "";

  async function load(anew) {
    const query = new URLSearchParams({ workflow, limit: String(PAGE), ...(anew ? {} : { before: last }) });
    const { executions } = await api.get(`/executions?${query}`);
    const rows = executions.map((each) => row(each, open));
    if (anew) list.replaceChildren(...rows);
    else list.append(...rows);
    last = executions.at(-1)?.id ?? last;
    more.hidden = executions.length < PAGE;
    element.hidden = !list.children.length;
  }

  return { element, refresh: () => load(true).catch(() => {}) };
}

function row(execution, open) {
  const { id, state, created_at: created, outputs } = execution;
  const picture = Object.values(outputs).flat().find((item) => item.type?.startsWith("image/") && !item.type.includes("svg"));
  const when = new Date(created).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
  return h("li", {}, h("button.past", { type: "button", title: id, onclick: () => open(id) },
    picture ? h("img", { src: picture.url, alt: "", loading: "lazy" }) : h("span.blank", {}),
    h("span", { "data-state": state }, state), h("span.note", {}, when)));
}
