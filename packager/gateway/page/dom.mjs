/** Making elements: text is always text, never markup. */

/**
 * @param {string} tag e.g. "button" or "div.row"
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
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

/** A button that copies a text and says so. */
export function copyButton(text) {
  const button = h("button.plain", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  } }, "Copy");
  return button;
}

/** @returns {string} e.g. "1.4 MB" */
export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let step = 0;
  for (; size >= 1000 && step < units.length - 1; step += 1) size /= 1000;
  return `${step && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[step]}`;
}

/** @returns {string} e.g. "0.8 s" or "2 min 5 s" */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
