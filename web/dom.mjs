/** Making elements: text is always text, never markup. */

/**
 * @param {string} tag e.g. "button" or "div.cc-row"
 * @param {Object<string, any>} [attributes] `onclick` and the like are listeners; null and false leave one out
 * @param {...(Node|string|null|false|undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

/** A button that shows an icon only; its label is its tooltip and what a screen reader says. */
export const iconButton = (icon, label, onclick) =>
  h("button.cc-icon", { type: "button", title: label, "aria-label": label, onclick }, h("i", { class: icon, "aria-hidden": "true" }));

/** A line to copy, with its button. */
export function copyLine(text, label, done) {
  const button = iconButton("pi pi-copy", label, async () => {
    await navigator.clipboard?.writeText(text);
    button.title = done;
    button.firstElementChild.className = "pi pi-check";
    setTimeout(() => {
      button.title = label;
      button.firstElementChild.className = "pi pi-copy";
    }, 1500);
  });
  return h("div.cc-copy", {}, h("code", {}, text), button);
}

/** @returns {string} e.g. "1.4 MB" */
export function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  let value = size;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${value.toFixed(power > 0 && value < 100 ? 1 : 0)} ${units[power]}`;
}
