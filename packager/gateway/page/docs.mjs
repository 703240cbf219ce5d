/** What /openapi.json says, to read: each operation with what it takes and answers, and the schemas behind them. */
import { api } from "./api.mjs";
import { copyButton, h } from "./dom.mjs";
import { createLogin } from "./login.mjs";

const METHODS = ["post", "get", "put", "delete"];

async function start() {
  try {
    draw(await api.get("/openapi.json"));
  } catch (error) {
    if (error.status === 401) document.body.replaceChildren(createLogin(start));
    else document.body.replaceChildren(h("p.failure", { role: "alert" }, error.message));
  }
}

function draw(document_) {
  const { info, tags, components } = document_;
  const operations = operationsOf(document_);
  const chapters = tags.map(({ name, description }) => ({ name, description, operations: operations.filter((each) => each.tags.includes(name)) }));
  document.body.replaceChildren(
    h("header.top", {}, h("b", {}, info.title), h("a", { href: "/" }, "Form"), h("a", { href: "/openapi.json" }, "openapi.json")),
    h("main.docs", {},
      h("nav", { "aria-label": "Operations" }, ...chapters.map(({ name, operations: own }) => h("div", {}, h("h3", {}, name),
        h("ul", {}, ...own.map(({ id, method, path }) => h("li", {}, h("a", { href: `#${id}` }, h("span.method", {}, method), path))))))),
      h("div", {}, info.description && h("p.description", {}, info.description),
        ...chapters.flatMap(({ name, description, operations: own }) => [h("h2", {}, name), h("p.note", {}, description), ...own.map((each) => operation(each, document_))]),
        h("h2", { id: "schemas" }, "schemas"),
        ...Object.entries(components.schemas).map(([name, schema]) => h("section.operation", { id: `schema-${name}` }, h("h3", {}, name), told(schema))))));
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

/** Every operation with its method, its path and the parameters of both, references followed. */
function operationsOf({ paths, components }) {
  const named = ({ $ref, ...own }) => ($ref ? components.parameters[$ref.split("/").pop()] : own);
  return Object.entries(paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => ({
    ...item[method], method, path, id: item[method].operationId,
    parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map(named),
  })));
}

function operation({ id, method, path, summary, description, parameters, requestBody, responses }) {
  return h("section.operation", { id, "data-method": method },
    h("h3", {}, h("span.method", {}, method), path), h("p", {}, summary), description && description !== summary && h("p.note", {}, description),
    parameters.length > 0 && h("table", {}, ...parameters.map((each) => h("tr", {}, h("th", { scope: "row" }, each.name),
      h("td", {}, `${each.in}${each.required ? ", required" : ""}`), h("td", {}, typeOf(each.schema)), h("td", {}, each.description)))),
    ...Object.entries(requestBody?.content ?? {}).map(([type, { schema, examples = {} }]) => h("div", {}, h("h4", {}, `Body: ${type}`), told(schema),
      ...Object.values(examples).map(sample))),
    h("h4", {}, "Answers"),
    h("table", {}, ...Object.entries(responses).map(([status, answer]) => h("tr", {}, h("th", { scope: "row" }, status), h("td", {}, answer.description),
      h("td", {}, ...Object.entries(answer.content ?? {}).flatMap(([type, { schema }]) => [h("span.note", {}, `${type} `), reference(schema)]))))));
}

function sample({ summary, value }) {
  const text = JSON.stringify(value, null, 2);
  return h("div.text", {}, h("span.note", {}, summary), h("pre", { tabindex: 0 }, text), copyButton(text));
}

/** A schema in words where it is simple or has a name, else as it is. */
function told(schema) {
  if (schema.$ref) return reference(schema);
  return h("details", {}, h("summary", {}, typeOf(schema)), h("pre", { tabindex: 0 }, JSON.stringify(schema, null, 2)));
}

function reference(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? h("a", { href: `#schema-${name}` }, name) : h("span", {}, schema && Object.keys(schema).length ? typeOf(schema) : "");
}

/** @returns {string} e.g. "integer, 0 to 7" */
function typeOf(schema = {}) {
  const { type, minimum, maximum, enum: options, $ref, default: value } = schema;
  const bounds = minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : minimum !== undefined ? `from ${minimum}` : maximum !== undefined ? `to ${maximum}` : "";
  const kind = $ref ? $ref.split("/").pop() : options ? options.join(" | ") : [type].flat().filter(Boolean).join(" | ");
  return [kind, bounds, value !== undefined && `${JSON.stringify(value)} if not said`].filter(Boolean).join(", ");
}

start();
