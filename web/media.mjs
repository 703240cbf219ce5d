/** What the front-end gives only to ComfyUI's own nodes, for ours: the player of sounds, and an upload of any file. */
import { t } from "./strings.mjs";
import { findWidget } from "./widgets.mjs";

const PLAYERS = new Set(["CapsuleAudio", "CapsuleOutputAudio"]);
const UPLOAD = "CAPSULE_UPLOAD";

/** Add widgets to a class before it is registered; they are the editor's alone and reach no API graph. */
export function addMediaWidgets(nodeData) {
  const required = nodeData?.input?.required;
  if (!required) return;
  if (PLAYERS.has(nodeData.name) && !required.audioUI) {
    const { upload, ...others } = required; // the front-end's upload button looks for a player above it
    nodeData.input.required = { ...others, audioUI: ["AUDIO_UI", {}], ...(upload && { upload }) };
  }
  if (nodeData.name === "CapsuleFile") required.upload = [UPLOAD, {}];
}

/** The widget types that are ours. */
export function mediaWidgets(app, api) {
  return {
    [UPLOAD](node, name) {
      const options = { serialize: false };
      const widget = node.addWidget("button", name, "", () => pickFile((file) => upload(app, api, node, file)), options);
      widget.label = t("upload.choose");
      return { widget };
    },
  };
}

function pickFile(picked) {
  const field = document.createElement("input");
  field.type = "file";
  field.addEventListener("change", () => field.files[0] && picked(field.files[0]));
  field.click();
}

async function upload(app, api, node, file) {
  const body = new FormData();
  body.append("image", file); // ComfyUI's name for whatever is uploaded
  const response = await api.fetchApi("/upload/image", { method: "POST", body }).catch(() => null);
  if (!response?.ok) {
    const summary = t("upload.failed", { file: file.name, status: response?.status ?? "" });
    app.extensionManager?.toast?.add({ severity: "error", summary, life: 15000 });
    return;
  }
  const { name, subfolder } = await response.json();
  const stored = subfolder ? `${subfolder}/${name}` : name;
  const choice = findWidget(node, "file");
  if (!choice.options.values.includes(stored)) choice.options.values.push(stored);
  choice.value = stored;
  choice.callback?.(stored);
  node.graph?.setDirtyCanvas(true);
}
