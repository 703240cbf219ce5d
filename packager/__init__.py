"""The engine of Comfy Capsule. Imports with no ComfyUI, no Docker engine and no network present."""
