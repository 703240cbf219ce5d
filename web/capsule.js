/**
 * The entry point that ComfyUI's front-end loads: the only .js file here, because it imports every .js it finds.
 * Everything else is .mjs, imported relatively so that a path prefix in front of ComfyUI does no harm.
 */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { createExtension } from "./extension.mjs";

app.registerExtension(createExtension(app, api));
