"""What a file of another tool says, once it is read: names and pins, of which it holds hardly any bytes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..capsule import ApiGraph, Finding, Model

Form = Literal["manager", "desktop", "cpack", "workflow"]

#: How sentences call them.
FORMS: dict[Form, str] = {
    "manager": "ComfyUI-Manager snapshot",
    "desktop": "Comfy-Desktop snapshot",
    "cpack": "comfy-pack archive",
    "workflow": "workflow",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class NamedPack(_Frozen):
    """One pack as another tool names it.

    Attributes:
        kind: where its bytes may be had; ``folder`` and ``file`` are named only.
        path: where it goes under custom_nodes, see `capsule.Pack`.
        origin, commit: of a git one; the commit in full.
        registry: ``ID@VERSION``.
    """

    kind: Literal["git", "registry", "folder", "file"]
    name: str
    path: str
    origin: str = ""
    commit: str = ""
    registry: str = ""


class Pin(_Frozen):
    """One line of a ``pip freeze``: ``name==version``, or a name and the address it was installed from.

    `hashes` (sha256, hex) are those that the line allows; none where it names none.
    """

    name: str
    version: str = ""
    url: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As a requirement."""
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"


class Described(_Frozen):
    """What one file of another tool says.

    Attributes:
        comfyui: ComfyUI's commit, or else a tag such as ``v0.3.40``; empty where it says neither.
        python: a version, in full or as ``3.11``; empty where it says none.
        models: those that it names with size and sha256.
        inputs: files for ComfyUI's input folder, by name.
        ui, api: the workflow in it, if any.
        findings: what it does not hold, and what of it could not be read.
    """

    form: Form
    comfyui: str = ""
    python: str = ""
    packs: tuple[NamedPack, ...] = ()
    pins: tuple[Pin, ...] = ()
    models: tuple[Model, ...] = ()
    inputs: dict[str, bytes] = Field(default={}, exclude=True)
    ui: dict[str, Any] | None = None
    api: ApiGraph | None = None
    findings: tuple[Finding, ...] = ()
