/** What is wrong with a name that the user gives. */
import { snakeName } from "./marks.mjs";
import { t } from "./strings.mjs";
import { NAME } from "./widgets.mjs";

/** @returns {string} why `entry` cannot be called `name` among `entries`; "" when it can */
export function reasonAgainst(name, entry, entries) {
  if (!NAME.test(name)) return `${t("name.invalid")}${snakeName(name) ? ` (${snakeName(name)})` : ""}`;
  const taken = entries.some((other) => other !== entry && other.kind === entry.kind && other.mark.name === name);
  return taken ? t("name.taken", { name }) : "";
}
