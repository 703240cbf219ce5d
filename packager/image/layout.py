"""Where things lie in an image, and what its labels are called: for whoever makes one and whoever looks at it."""

from __future__ import annotations

COMFYUI = "/comfyui"
VENV = "/opt/venv"
GATEWAY = "/gateway"
PYTHON = "/opt/python"

#: Where the volume with the models is mounted that are not in the image.
MODELS = "/models"

PORT = 8000

#: What our labels' names begin with, https://docs.docker.com/engine/manage-resources/labels/#key-format-recommendations
LABEL = "io.comfy-capsule."
TITLE_LABEL = "org.opencontainers.image.title"

#: How our commands in the image are told which ComfyUI it is.
INSTALL = ("--comfy", COMFYUI, "--python", f"{VENV}/bin/python")

#: The command of the image's proof, to which its kind and `INSTALL` come.
PROVE = (f"{GATEWAY}/bin/python", "-m", "comfy_capsule.packager.proof")

#: The command that succeeds once the gateway is ready.
PROBE = (
    f"{GATEWAY}/bin/python",
    "-c",
    f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/readyz', timeout=4)",
)
