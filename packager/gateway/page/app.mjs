/** The page: which workflow is open, its form, its result, its earlier runs. The address says which: `#name/execution`. */
import { api } from "./api.mjs";
import { h } from "./dom.mjs";
import { createForm } from "./form.mjs";
import { createHistory } from "./history.mjs";
import { createLogin } from "./login.mjs";
import { createRun } from "./run.mjs";

const READY_EVERY = 5000; // ms
let open = null; // what is on screen: {name, run}

async function start() {
  try {
    const { workflows } = await api.get("/workflows");
    draw(workflows);
  } catch (error) {
    if (error.status === 401) document.body.replaceChildren(createLogin(start));
    else document.body.replaceChildren(h("p.failure", { role: "alert" }, error.message, h("button.plain", { onclick: start }, "Try again")));
  }
}

function draw(workflows) {
  const main = h("main", {});
  const state = h("span.state", { role: "status" });
  const choose = h("select", { "aria-label": "Workflow", onchange: () => (location.hash = choose.value) },
    ...workflows.map(({ name, title }) => h("option", { value: name }, title || name)));
  const leave = h("button.plain", { type: "button", onclick: () => api.delete("/session").finally(() => location.reload()) }, "Sign out");
  leave.hidden = true;
  document.body.replaceChildren(
    h("header.top", {}, h("b", {}, "Comfy Capsule"), workflows.length > 1 && choose, state, leave, h("a", { href: "/docs" }, "API")), main);
  api.get("/session").then(({ needed }) => (leave.hidden = !needed), () => {});
  watch(state);

  async function follow() {
    const [name, execution = ""] = decodeURIComponent(location.hash.slice(1)).split("/");
    const chosen = workflows.some((each) => each.name === name) ? name : workflows[0].name;
    choose.value = chosen;
    if (open?.name !== chosen || !main.children.length) open = await openWorkflow(main, chosen);
    open.run.show(execution);
  }
  window.onhashchange = follow;
  follow();
}

async function openWorkflow(main, name) {
  const workflow = await api.get(`/workflows/${name}`);
  document.title = workflow.title || name;
  const go = (id) => (location.hash = `${name}/${id}`);
  const history = createHistory(name, go);
  const run = createRun(() => history.refresh(), (parameters) => form.write(parameters));
  const form = createForm(workflow, async (parameters) => {
    const { id } = await api.post(`/workflows/${name}?previews=true`, parameters, { Prefer: "respond-async" });
    go(id);
    history.refresh();
  });
  main.replaceChildren(
    h("div.left", {}, h("h1", {}, workflow.title || name), workflow.description && h("p.description", {}, workflow.description), form.element),
    h("div.right", {}, run.element, history.element));
  history.refresh();
  return { name, run };
}

/** Whether it can run something now; looked at as long as the page is shown. */
async function watch(state) {
  if (!state.isConnected) return;
  if (!document.hidden) {
    const { ok, words } = await fetch("/readyz").then(readiness, () => ({ ok: false, words: "The gateway does not answer" }));
    state.textContent = words;
    state.classList.toggle("bad", !ok);
  }
  setTimeout(() => watch(state), READY_EVERY);
}

async function readiness(answer) {
  const said = await answer.json();
  if (!answer.ok) return { ok: false, words: said.detail };
  return { ok: true, words: said.waiting ? `Ready · ${said.waiting} waiting` : "Ready" };
}

start();
