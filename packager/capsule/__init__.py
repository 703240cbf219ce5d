"""The file format of a capsule: its models, reading and writing it, and its digests."""

from .archive import safe_name
from .capsule import SUFFIX, WORKFLOW_NAME, Capsule, read_capsule, write_capsule
from .digests import canonical_json, environment_digest, sha256_bytes, sha256_file, tree_digest
from .files import GIT, GIT_ENVIRONMENT, LEFT_OUT, git, is_checkout, tree_files
from .locktoml import lock_toml
from .models import (
    FORMAT,
    ApiGraph,
    ComfyUI,
    Digests,
    Finding,
    InputFile,
    Lock,
    Model,
    Observed,
    Pack,
    Platform,
)
from .pylocktool import NOBODY, ChangedFile, Editable, PythonTool

__all__ = [
    "FORMAT",
    "GIT",
    "GIT_ENVIRONMENT",
    "LEFT_OUT",
    "NOBODY",
    "SUFFIX",
    "WORKFLOW_NAME",
    "ApiGraph",
    "Capsule",
    "ChangedFile",
    "ComfyUI",
    "Digests",
    "Editable",
    "Finding",
    "InputFile",
    "Lock",
    "Model",
    "Observed",
    "Pack",
    "Platform",
    "PythonTool",
    "canonical_json",
    "environment_digest",
    "git",
    "is_checkout",
    "lock_toml",
    "read_capsule",
    "safe_name",
    "sha256_bytes",
    "sha256_file",
    "tree_digest",
    "tree_files",
    "write_capsule",
]
