"""What other tools write of a ComfyUI: read into a capsule, and written from one, with all that is lost said."""

from .findings import overruled
from .graphs import node_types, version_findings
from .making import COLUMNS, Step, make, plan_import, with_findings
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
    "overruled",
    "plan_import",
    "read_others",
    "version_findings",
    "with_findings",
    "write_snapshot",
]
