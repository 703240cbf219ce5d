/** Trading an API key for a session; the key itself is kept nowhere in the page. */
import { api } from "./api.mjs";
import { h } from "./dom.mjs";

/** @param {() => void} done */
export function createLogin(done) {
  const key = h("input", { type: "password", autocomplete: "current-password", required: true, id: "key" });
  const problem = h("p.problem", { role: "alert" });
  async function onsubmit(event) {
    event.preventDefault();
    try {
      await api.post("/session", { key: key.value });
      key.value = "";
      done();
    } catch (error) {
      problem.textContent = error.message;
      key.select();
    }
  }
  return h("form.login", { onsubmit }, h("h1", {}, "Comfy Capsule"), h("p", {}, "An API key is needed to see and run what is served here."),
    h("label", { for: "key" }, "API key"), key, problem, h("button.primary", { type: "submit" }, "Continue"));
}
