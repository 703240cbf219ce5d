"""What other tools write of a ComfyUI: read into a capsule, and written from one, with all that is lost said."""

from .graphs import node_types
from .making import COLUMNS, Step, make, plan_import
from .models import FORMS, Described
from .reading import read_others
from .sources import COMFYUI, Places
from .writing import Snapshot, Written, write_snapshot

__all__ = [
    "COLUMNS",
    "COMFYUI",
    "FORMS",
    "Described",
    "Places",
    "Snapshot",
    "Step",
    "Written",
    "make",
    "node_types",
    "plan_import",
    "read_others",
    "write_snapshot",
]
