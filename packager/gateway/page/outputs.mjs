/** What a run gave: pictures, sounds, videos, texts, files. */
import { bytes, copyButton, h } from "./dom.mjs";

/** @param {Object<string, object[]>} outputs by name, as an execution tells them */
export const shownOutputs = (outputs) =>
  Object.entries(outputs).map(([name, items]) =>
    h("section.output", { "aria-label": name }, h("h3", {}, name), h("div.items", {}, ...items.map((item) => shown(item, name)))));

function shown(item, name) {
  if (item.kind === "text") return value(String(item.value));
  if (item.kind === "json") return value(JSON.stringify(item.value, null, 2));
  const { url, filename, type, size } = item;
  const caption = h("figcaption", {}, h("a", { href: url, download: filename }, filename), ` ${bytes(size)}`);
  return h("figure", {}, preview(url, type, `${name}: ${filename}`), caption);
}

const value = (text) => h("div.text", {}, h("pre", { tabindex: 0 }, text), copyButton(text));

function preview(url, type, alt) {
  if (type.startsWith("image/") && !type.includes("svg")) return h("a", { href: url, target: "_blank" }, h("img", { src: url, alt }));
  if (type.startsWith("video/")) return h("video", { src: url, controls: true, loop: true });
  if (type.startsWith("audio/")) return h("audio", { src: url, controls: true });
  return null;
}
