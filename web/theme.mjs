/** What of ComfyUI's theme a canvas needs as plain values: theme variables do not work there. */

function colorOf(names, lastResort) {
  const style = getComputedStyle(document.body);
  return names.map((name) => style.getPropertyValue(name).trim()).find(Boolean) ?? lastResort;
}

/** @returns {string} the accent colour of the theme, by its newest name that is there */
export const accent = () => colorOf(["--primary-background", "--p-primary-color"], "#0b8ce9");

/** @returns {string} the theme's colour for what is wrong */
export const alarm = () => colorOf(["--error-text"], "#ff4444");
