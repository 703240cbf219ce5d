/**
 * One field for each input of a contract, by its type.
 *
 * @typedef {{name: string, type: string, title: string, description: string, group: string, required: boolean,
 *   default: any, minimum?: number, maximum?: number, step?: number, choices?: any[], max_length?: number,
 *   multiline: boolean, multiple: boolean}} Input
 * @typedef {{input: Input, element: HTMLElement, read: () => Promise<any>, write: (value: any) => void,
 *   complain: (text: string) => void}} Field  `read` gives undefined for what is left to the gateway
 */
import { api } from "./api.mjs";
import { bytes, h } from "./dom.mjs";

const MEDIA = { image: "image/*", mask: "image/*", audio: "audio/*", video: "video/*", file: "" };
const MOST_STEPS = 4096; // a slider with more of them cannot be set by hand
const SAFE = Number.MAX_SAFE_INTEGER;

/** @param {Input} input @returns {Field} */
export function fieldOf(input) {
  const control = (CONTROLS[kindOf(input)] ?? text)(input);
  const id = `field-${input.name}`;
  control.main.id = id;
  const problem = h("p.problem", { id: `${id}-problem`, role: "alert" });
  const told = input.description && h("p.note", { id: `${id}-note` }, input.description);
  control.main.setAttribute("aria-describedby", [told && `${id}-note`, `${id}-problem`].filter(Boolean).join(" "));
  const label = h("label", { for: id }, input.title || input.name, input.required && h("span.required", { title: "required" }, " *"));
  const complain = (said) => {
    problem.textContent = said;
    control.main.toggleAttribute("aria-invalid", Boolean(said));
  };
  control.element.addEventListener("input", () => complain(""));
  const element = h("div.field", { "data-name": input.name }, label, control.element, told, problem);
  return { ...control, input, element, complain };
}

function kindOf(input) {
  if (input.type in MEDIA) return "media";
  return input.choices && input.multiple ? "several" : input.choices ? "choice" : input.type;
}

const CONTROLS = { integer: number, number, seed, boolean, choice, several, color, json, media, string: text };

function text(input) {
  const attributes = { maxlength: input.max_length, required: input.required, spellcheck: "false" };
  const main = input.multiline ? h("textarea", { rows: 4, ...attributes }) : h("input", { type: "text", ...attributes });
  return { main, element: main, read: async () => main.value, write: (value) => (main.value = value ?? "") };
}

function number(input) {
  const { minimum, maximum, required } = input;
  const step = input.step ?? (input.type === "integer" ? 1 : "any");
  const bounds = { min: minimum, max: maximum, step: input.type === "integer" ? step : "any", required };
  const main = h("input", { type: "number", inputmode: input.type === "integer" ? "numeric" : "decimal", ...bounds });
  const read = async () => (main.value === "" ? undefined : exact(input, Number(main.value)));
  const few = Number.isFinite(minimum) && Number.isFinite(maximum) && (maximum - minimum) / (Number(step) || 0.01) <= MOST_STEPS;
  if (!few) return { main, element: main, read, write: (value) => (main.value = value ?? "") };
  const slider = h("input", { type: "range", min: minimum, max: maximum, step: step === "any" ? 0.01 : step, tabindex: -1, "aria-hidden": "true" });
  slider.addEventListener("input", () => (main.value = slider.value));
  main.addEventListener("input", () => (slider.value = main.value));
  const write = (value) => {
    main.value = value ?? "";
    slider.value = value ?? minimum;
  };
  return { main, element: h("div.pair", {}, slider, main), read, write };
}

/** A whole number that a browser cannot hold would be sent as another one. */
function exact(input, value) {
  if (input.type === "number" || Number.isSafeInteger(value)) return value;
  const words = Number.isInteger(value) ? "A browser cannot hold this number exactly; send it from a program." : "This is no whole number.";
  throw Object.assign(new Error(words), { parameter: input.name });
}

function seed(input) {
  const lowest = Math.max(input.minimum ?? 0, 0), highest = Math.min(input.maximum ?? SAFE, SAFE);
  const main = h("input", { type: "text", inputmode: "numeric", pattern: "-?[0-9]*", placeholder: "a new one each time" });
  const roll = () => {
    const [high, low] = crypto.getRandomValues(new Uint32Array(2));
    main.value = String(lowest + (((high & 0x1fffff) * 2 ** 32 + low) % (highest - lowest + 1)));
    main.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const dice = h("button.plain", { type: "button", title: "Draw a seed and keep it", "aria-label": "Draw a seed", onclick: roll }, "🎲");
  const read = async () => (main.value.trim() === "" ? undefined : exact(input, Number(main.value)));
  return { main, element: h("div.pair", {}, main, dice), read, write: (value) => (main.value = value ?? "") };
}

function boolean() {
  const main = h("input", { type: "checkbox" });
  return { main, element: main, read: async () => main.checked, write: (value) => (main.checked = Boolean(value)) };
}

function choice(input) {
  const options = input.choices.map((each, index) => h("option", { value: index }, String(each)));
  const main = h("select", { required: input.required }, ...(input.default === null ? [h("option", { value: "" }, "")] : []), ...options);
  const write = (value) => {
    const index = input.choices.indexOf(value);
    main.value = index < 0 ? "" : String(index);
  };
  return { main, element: main, read: async () => (main.value === "" ? undefined : input.choices[Number(main.value)]), write };
}

function several(input) {
  const boxes = input.choices.map(() => h("input", { type: "checkbox" }));
  const main = h("div.several", { role: "group" }, ...boxes.map((box, index) => h("label", {}, box, String(input.choices[index]))));
  const write = (value) => boxes.forEach((box, index) => (box.checked = (value ?? []).includes(input.choices[index])));
  return { main, element: main, read: async () => input.choices.filter((_, index) => boxes[index].checked), write };
}

function color() {
  const main = h("input", { type: "color" });
  return { main, element: main, read: async () => main.value, write: (value) => (main.value = value ?? "#000000") };
}

function json(input) {
  const main = h("textarea.code", { rows: 4, required: input.required, spellcheck: "false" });
  const read = async () => {
    if (main.value.trim() === "") return undefined;
    try {
      return JSON.parse(main.value);
    } catch (error) {
      throw Object.assign(new Error(`This is not JSON: ${error.message}`), { parameter: input.name });
    }
  };
  return { main, element: main, read, write: (value) => (main.value = value === undefined || value === null ? "" : JSON.stringify(value, null, 2)) };
}

/** A file: dropped, chosen or pasted; uploaded once, when it is first sent. */
function media(input) {
  let file = null, sent = null;
  const main = h("input", { type: "file", accept: MEDIA[input.type] || null });
  const shown = h("div.chosen", { "aria-live": "polite" });
  const clear = h("button.plain", { type: "button", onclick: () => take(null) }, "Remove");
  const drop = h("div.drop", { ondragover, ondragleave, ondrop, onpaste }, main, shown);

  function take(next) {
    file = next;
    sent = null;
    if (!file) main.value = "";
    draw(file && URL.createObjectURL(file), file && `${file.name}, ${bytes(file.size)}`, file?.type);
  }
  function draw(url, words, type = "") {
    main.required = input.required && !sent;
    const preview = url && type.startsWith("image/") ? h("img", { src: url, alt: "" })
      : url && type.startsWith("audio/") ? h("audio", { src: url, controls: true })
      : url && type.startsWith("video/") ? h("video", { src: url, controls: true }) : null;
    const own = input.default && !input.required ? "Without one, the workflow's own is used." : "";
    shown.replaceChildren(...[preview, h("span", {}, words || own || "Drop a file here, or choose one."), words && clear].filter(Boolean));
  }
  function ondragover(event) {
    event.preventDefault();
    drop.classList.add("over");
  }
  function ondragleave() {
    drop.classList.remove("over");
  }
  function ondrop(event) {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  }
  function onpaste(event) {
    if (event.clipboardData.files[0]) take(event.clipboardData.files[0]);
  }
  main.addEventListener("change", () => main.files[0] && take(main.files[0]));
  draw();

  return {
    main,
    element: drop,
    async read() {
      if (file && !sent) sent = { file: (await api.upload(file)).id };
      return sent ?? undefined;
    },
    write(value) {
      take(null);
      if (!value?.file) return;
      sent = { file: value.file };
      draw(`/files/${value.file}`, "The file of that run.", input.type === "mask" ? "image/" : `${input.type}/`);
    },
  };
}
