/** The form of one workflow: its fields in their groups, what a run would send, and the code that sends the same. */
import { h } from "./dom.mjs";
import { fieldOf } from "./fields.mjs";
import { createSnippets } from "./snippets.mjs";

/**
 * @param {{name: string, inputs: import("./fields.mjs").Input[]}} workflow
 * @param {(parameters: object) => Promise<void>} run  throws an ApiError, whose `errors` name parameters
 */
export function createForm(workflow, run) {
  const fields = workflow.inputs.map(fieldOf);
  const failure = h("div.failure", { role: "alert", hidden: true });
  const button = h("button.primary", { type: "submit" }, "Run");
  const reset = h("button.plain", { type: "reset" }, "Reset");
  const snippets = createSnippets(workflow, parameters);
  const element = h("form", { onsubmit, onreset, "aria-label": `Inputs of ${workflow.name}` },
    ...sections(fields), failure, h("div.actions", {}, button, reset), snippets.element);
  write({});

  /** What differs from the defaults; all else is the gateway's to fill in. */
  async function parameters() {
    const found = {};
    for (const { input, read } of fields) {
      const value = await read();
      const own = JSON.stringify(value) === JSON.stringify(input.default) && !input.required;
      if (value !== undefined && !own) found[input.name] = value;
    }
    return found;
  }

  async function onsubmit(event) {
    event.preventDefault();
    complain({});
    button.disabled = true;
    try {
      await run(await parameters());
    } catch (error) {
      complain(error);
    } finally {
      button.disabled = false;
    }
  }

  function onreset(event) {
    event.preventDefault();
    complain({});
    write({});
  }

  /** Each wrong parameter is told beside its field, all else above the button. */
  function complain({ message = "", cure = "", errors = [], parameter = "" }) {
    const told = parameter ? [{ parameter, message }] : errors;
    let first = null;
    for (const field of fields) {
      const wrong = told.filter((each) => each.parameter === field.input.name);
      field.complain(wrong.map((each) => [each.message ?? each.detail, each.allowed].filter(Boolean).join("; ")).join(" "));
      if (wrong.length) first ??= field;
    }
    failure.hidden = !message || Boolean(first);
    failure.textContent = [message, cure].filter(Boolean).join(" ");
    first?.element.scrollIntoView({ block: "center", behavior: "smooth" });
  }

  function write(values) {
    for (const { input, write: put } of fields) put(input.name in values ? values[input.name] : input.type === "seed" ? undefined : input.default);
  }

  return { element, write };
}

/** Fields without a group first to last as they stand, each group in a frame where its first one stands. */
function sections(fields) {
  const groups = new Map();
  const shown = [];
  for (const { input, element } of fields) {
    if (!input.group) {
      shown.push(element);
    } else if (groups.has(input.group)) {
      groups.get(input.group).append(element);
    } else {
      const frame = h("fieldset", {}, h("legend", {}, input.group), element);
      groups.set(input.group, frame);
      shown.push(frame);
    }
  }
  return shown;
}
