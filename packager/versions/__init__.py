"""Every capsule of a workflow, kept in git: what it was, what it followed, and all of it back."""

from .carried import CarriedFiles
from .models import Keeping, Kept, Pruned, Version, Workflow
from .repository import Repository
from .versions import BRANCH, Versions, keep_export, versions_folder

__all__ = [
    "BRANCH",
    "CarriedFiles",
    "Keeping",
    "Kept",
    "Pruned",
    "Repository",
    "Version",
    "Versions",
    "Workflow",
    "keep_export",
    "versions_folder",
]
