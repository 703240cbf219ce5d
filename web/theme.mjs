/** What of ComfyUI's theme a canvas needs as plain values: theme variables do not work there. */

const LAST_RESORT = "#0b8ce9";

/** @returns {string} the accent colour of the theme, by its newest name that is there */
export function accent() {
  const style = getComputedStyle(document.body);
  const value = (name) => style.getPropertyValue(name).trim();
  return value("--primary-background") || value("--p-primary-color") || LAST_RESORT;
}
