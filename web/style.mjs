/** The panel's look, by ComfyUI's own theme variables only; each falls back from the newest name to the oldest. */

const ACCENT = "var(--primary-background, var(--p-primary-color, #0b8ce9))";

const CSS_TEXT = `
.sidebar-content-container > :has(> .comfy-capsule) { height: 100%; }
.comfy-capsule { --cc-accent: ${ACCENT}; --cc-line: var(--border-default, var(--border-color, #4e4e4e));
  --cc-fill: var(--secondary-background, var(--comfy-input-bg)); --cc-fill-hover: var(--secondary-background-hover, var(--content-hover-bg));
  --cc-soft: var(--descrip-text, #999);
  --cc-bad: var(--error-text, #ff4444); display: flex; flex-direction: column; height: 100%; min-height: 0;
  color: var(--fg-color); font-size: 14px; line-height: 1.4; container-type: inline-size; }
.comfy-capsule * { box-sizing: border-box; }
section.comfy-capsule h2 { display: flex; justify-content: space-between; align-items: center; }
.comfy-capsule [hidden] { display: none; }
.comfy-capsule h2 { margin: 0; padding: 14px 16px 10px; font-size: 16px; font-weight: 600; }
.comfy-capsule h3 { display: flex; gap: 6px; align-items: baseline; margin: 0; padding: 8px 16px 4px; font-size: 12px;
  font-weight: 500; color: var(--cc-soft); }
.comfy-capsule .cc-scroll { flex: 0 1 auto; min-height: 120px; overflow-y: auto; padding-bottom: 12px; }
.comfy-capsule .cc-list { margin: 0; padding: 0 8px; list-style: none; }
.comfy-capsule .cc-row { display: flex; align-items: center; gap: 2px; padding: 5px 4px 5px 8px; border-radius: 8px; }
.comfy-capsule .cc-row:hover, .comfy-capsule .cc-row:focus-within { background: var(--cc-fill); }
.comfy-capsule .cc-handle { width: 14px; margin: 0 -2px 0 -8px; cursor: grab; opacity: 0; }
.comfy-capsule .cc-row:hover .cc-handle, .comfy-capsule .cc-handle:focus-visible { opacity: 1; }
.comfy-capsule .cc-group { padding: 8px 8px 2px; color: var(--cc-soft); font-size: 12px; font-weight: 600; }
.comfy-capsule .cc-what { flex: 1; min-width: 0; }
.comfy-capsule .cc-name { display: block; width: 100%; padding: 1px 5px; margin-left: -6px; border: 1px solid transparent;
  border-radius: 4px; background: transparent; color: inherit; font: inherit; font-weight: 500; text-overflow: ellipsis; }
.comfy-capsule .cc-name:hover { border-color: var(--cc-line); }
.comfy-capsule .cc-name:focus, .comfy-capsule .cc-field:focus { outline: none; border-color: var(--cc-accent);
  background: var(--cc-fill); color: var(--input-text, inherit); }
.comfy-capsule .cc-where { overflow: hidden; color: var(--cc-soft); font-size: 12px; text-overflow: ellipsis; white-space: nowrap; }
.comfy-capsule .cc-problem { color: var(--cc-bad); font-size: 12px; }
.comfy-capsule .cc-note { margin: 0; padding: 2px 16px 6px; color: var(--cc-soft); font-size: 13px; }
.comfy-capsule .cc-flush { padding: 0; }
.comfy-capsule .cc-icon { flex: none; display: inline-grid; place-items: center; width: 28px; height: 28px; padding: 0;
  border: 0; border-radius: 6px; background: transparent; color: var(--cc-soft); cursor: pointer; }
.comfy-capsule .cc-icon:hover { background: var(--cc-fill-hover); color: var(--fg-color); }
.comfy-capsule button:focus-visible { outline: 2px solid var(--cc-accent); outline-offset: 1px; }
.comfy-capsule .cc-empty { display: grid; justify-items: center; gap: 6px; padding: 32px 24px 20px; text-align: center; }
.comfy-capsule .cc-empty > .pi { font-size: 28px; color: var(--cc-soft); }
.comfy-capsule .cc-empty b { font-weight: 600; }
.comfy-capsule .cc-empty p { margin: 0; color: var(--cc-soft); font-size: 13px; }
.comfy-capsule .cc-empty .cc-step { display: grid; grid-template-columns: 20px 1fr; gap: 8px; justify-self: stretch;
  align-items: baseline; margin-top: 8px; text-align: left; }
.comfy-capsule .cc-foot { flex: none; max-height: 70%; overflow-y: auto; display: grid; gap: 10px; padding: 12px 16px 16px;
  border-top: 1px solid var(--cc-line); }
.comfy-capsule .cc-foot label { display: grid; gap: 4px; font-size: 12px; color: var(--cc-soft); }
.comfy-capsule .cc-field { width: 100%; padding: 7px 10px; border: 1px solid transparent; border-radius: 8px;
  background: var(--cc-fill); color: var(--input-text, inherit); font: inherit; font-size: 14px; }
.comfy-capsule .cc-main, .comfy-capsule .cc-plain { display: inline-flex; justify-content: center; align-items: center;
  gap: 8px; min-height: 36px; padding: 6px 14px; border: 0; border-radius: 8px; font: inherit; font-weight: 500; cursor: pointer; }
.comfy-capsule .cc-main { background: var(--cc-accent); color: #fff; }
.comfy-capsule .cc-main:hover { filter: brightness(1.1); }
.comfy-capsule .cc-plain { background: var(--cc-fill); color: var(--fg-color); }
.comfy-capsule .cc-plain:hover { background: var(--cc-fill-hover); }
.comfy-capsule .cc-phases { display: grid; gap: 6px; margin: 0; padding: 0; list-style: none; font-size: 13px; }
.comfy-capsule .cc-phase { display: grid; grid-template-columns: 18px auto minmax(0, 1fr) auto; gap: 6px; align-items: baseline; }
.comfy-capsule .cc-amount { color: var(--cc-soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.comfy-capsule .cc-phase .pi { align-self: center; font-size: 12px; color: var(--cc-accent); }
.comfy-capsule .cc-bar { grid-column: 2 / -1; height: 4px; overflow: hidden; border-radius: 2px; background: var(--cc-fill); }
.comfy-capsule .cc-bar > div { height: 100%; border-radius: 2px; background: var(--cc-accent); transition: width .15s; }
.comfy-capsule .cc-box { display: grid; gap: 4px; padding: 10px 12px; border-radius: 8px; background: var(--cc-fill); }
.comfy-capsule .cc-box.cc-failed { box-shadow: inset 3px 0 var(--cc-bad); }
.comfy-capsule .cc-box .cc-title { display: flex; gap: 8px; align-items: center; font-weight: 600; }
.comfy-capsule .cc-box p { margin: 0; font-size: 13px; overflow-wrap: anywhere; }
.comfy-capsule .cc-box .cc-title .cc-icon { margin: -4px -6px -4px auto; }
.comfy-capsule .cc-box .cc-title .cc-icon:hover { background: var(--cc-fill-hover); }
.comfy-capsule .cc-good { color: var(--cc-accent); } .comfy-capsule .cc-bad { color: var(--cc-bad); }
.comfy-capsule .cc-copy { display: flex; align-items: flex-start; gap: 4px; padding: 6px 4px 6px 10px; border-radius: 8px;
  background: var(--cc-fill); }
.comfy-capsule .cc-copy code { flex: 1; min-width: 0; padding-top: 4px; font-size: 12px; overflow-wrap: anywhere; user-select: text; }
.comfy-capsule .cc-findings { display: grid; gap: 8px; margin: 0; padding: 6px 0 0; list-style: none; font-size: 13px; }
.comfy-capsule .cc-findings li { display: grid; grid-template-columns: 16px minmax(0, 1fr); gap: 2px 6px; align-items: baseline; }
.comfy-capsule .cc-findings .cc-note { grid-column: 2; }
.comfy-capsule .cc-findings .pi { font-size: 13px; }
.comfy-capsule summary { cursor: pointer; font-size: 13px; }
.cc-dialog { width: min(460px, calc(100vw - 32px)); max-height: calc(100vh - 48px); padding: 0; border: 1px solid var(--border-color, #4e4e4e);
  border-radius: 12px; background: var(--comfy-menu-bg, #353535); box-shadow: 0 12px 40px rgb(0 0 0 / .5); font-family: inherit; }
.cc-dialog::backdrop { background: rgb(0 0 0 / .45); }
.cc-dialog .cc-fields { display: grid; gap: 12px; padding: 4px 16px 8px; }
.cc-dialog label, .cc-dialog legend { display: grid; gap: 4px; padding: 0; color: var(--cc-soft); font-size: 12px; }
.cc-dialog .cc-field { border-color: var(--cc-line); color: var(--fg-color); resize: vertical; }
.cc-dialog .cc-columns { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; }
.cc-dialog .cc-check { display: flex; gap: 8px; align-items: center; color: var(--fg-color); font-size: 14px; overflow-wrap: anywhere; }
.cc-dialog .cc-choices { display: grid; gap: 6px; min-width: 0; margin: 0; padding: 0; border: 0; }
.cc-dialog .cc-choices legend { display: flex; gap: 8px; align-items: baseline; }
.cc-dialog .cc-options { display: grid; gap: 4px; max-height: 180px; overflow-y: auto; padding: 8px 10px; border: 1px solid var(--cc-line); border-radius: 8px; }
.comfy-capsule .cc-extra { padding: 10px 16px 0; }
.comfy-capsule .cc-extra .cc-note { padding: 4px 0 0; }
.comfy-capsule .cc-link { padding: 0; border: 0; background: none; color: var(--cc-accent); font: inherit; cursor: pointer; }
.cc-dialog .cc-problem { margin: 0; padding: 0 16px; min-height: 1.4em; }
.cc-dialog .cc-buttons { display: flex; gap: 8px; justify-content: flex-end; padding: 8px 16px 16px; }
@media (prefers-reduced-motion: reduce) { .comfy-capsule .cc-bar > div { transition: none; } }
`;

/** Put the style sheet into the page, once. */
export function ensureStyle() {
  if (document.getElementById("comfy-capsule-style")) return;
  const sheet = document.createElement("style");
  sheet.id = "comfy-capsule-style";
  sheet.textContent = CSS_TEXT;
  document.head.append(sheet);
}
