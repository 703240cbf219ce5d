"""The gateway: a web server that serves capsules' workflows as a typed API, in front of ComfyUI."""

from .keys import Key
from .server import serve_capsules
from .settings import Settings, read_settings, settings_text

__all__ = ["Key", "Settings", "read_settings", "serve_capsules", "settings_text"]
