"""Secrets: known by name and by shape, replaced by ``${secret:NAME}``, filled in again at run time.

Below everything else: nothing here knows of capsules, ComfyUI or the gateway.
"""

from .arguments import clean_arguments
from .binding import SECRET_PREFIX, fill, read_secrets, secret_names
from .files import is_secret_file
from .graphs import collect_named, through_json
from .pictures import rewrite_texts
from .shapes import has_token
from .urls import without_secret_parameters
from .vault import Vault, placeholder

__all__ = [
    "SECRET_PREFIX",
    "Vault",
    "clean_arguments",
    "collect_named",
    "fill",
    "has_token",
    "is_secret_file",
    "placeholder",
    "read_secrets",
    "rewrite_texts",
    "secret_names",
    "through_json",
    "without_secret_parameters",
]
