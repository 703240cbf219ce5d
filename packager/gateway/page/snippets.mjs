/** The same run from a program: curl, Python and JavaScript, to copy. */
import { copyButton, h } from "./dom.mjs";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @returns {Object<string, string>} language → code */
export function snippetsOf(url, parameters) {
  const body = JSON.stringify(parameters, null, 2);
  return {
    curl: [`curl -X POST ${quoted(url)} \\`, `  -H "Authorization: Bearer $COMFY_CAPSULE_KEY" \\`,
      `  -H 'Content-Type: application/json' \\`, `  -d ${quoted(JSON.stringify(parameters))}`].join("\n"),
    Python: ["import json, os, urllib.request", "", `parameters = json.loads(r'''${body.replaceAll("'''", "\\u0027\\u0027\\u0027")}''')`,
      `request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(parameters).encode(), {`,
      `    "Content-Type": "application/json", "Authorization": "Bearer " + os.environ["COMFY_CAPSULE_KEY"]})`,
      "print(json.load(urllib.request.urlopen(request))[\"outputs\"])"].join("\n"),
    JavaScript: [`const answer = await fetch(${JSON.stringify(url)}, {`, `  method: "POST",`,
      `  headers: { "Content-Type": "application/json", Authorization: \`Bearer \${process.env.COMFY_CAPSULE_KEY}\` },`,
      `  body: JSON.stringify(${body.replaceAll("\n", "\n  ")}),`, "});", "console.log((await answer.json()).outputs);"].join("\n"),
  };
}

/**
 * @param {{name: string}} workflow
 * @param {() => Promise<object>} parameters  as the form stands
 */
export function createSnippets(workflow, parameters) {
  const code = h("pre", { tabindex: 0 });
  const problem = h("p.problem", { role: "alert" });
  let language = "curl";
  const tabs = ["curl", "Python", "JavaScript"].map((name) =>
    h("button.tab", { type: "button", "aria-pressed": String(name === language), onclick() {
      language = name;
      for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === name));
      draw();
    } }, name));
  const element = h("details.snippets", { ontoggle: () => element.open && draw() }, h("summary", {}, "Use it from a program"),
    h("div.tabs", {}, ...tabs, copyButton(() => code.textContent)), code, problem);

  async function draw() {
    problem.textContent = "";
    try {
      code.textContent = snippetsOf(new URL(`/workflows/${workflow.name}`, location.href).href, await parameters())[language];
    } catch (error) {
      problem.textContent = error.message;
    }
  }

  return { element };
}
