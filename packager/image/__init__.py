"""Capsule → container image: the build context, the Dockerfile, the engine that builds it."""

from .builder import BuiltImage, build
from .context import Context, write_context
from .docker import Docker
from .dockerfile import compose, dockerfile
from .interface import BuildRequest, ContainerEngine, ContainerInfo, EngineInfo, ImageInfo, StartRequest
from .layout import INSTALL, LABEL, PROVE, TITLE_LABEL
from .plan import DEFAULT_BASE, EPOCH, ImagePlan, LinkedModel, ModelPolicy, make_plan

__all__ = [
    "DEFAULT_BASE",
    "EPOCH",
    "INSTALL",
    "LABEL",
    "PROVE",
    "TITLE_LABEL",
    "BuildRequest",
    "BuiltImage",
    "ContainerEngine",
    "ContainerInfo",
    "Context",
    "Docker",
    "EngineInfo",
    "ImageInfo",
    "ImagePlan",
    "LinkedModel",
    "ModelPolicy",
    "StartRequest",
    "build",
    "compose",
    "dockerfile",
    "make_plan",
    "write_context",
]
