"""Capsule → container image: the build context, the Dockerfile, the engine that builds it."""

from .builder import BuiltImage, build
from .context import Context, write_context
from .docker import Docker
from .dockerfile import dockerfile
from .interface import BuildRequest, ContainerEngine, EngineInfo, ImageInfo
from .plan import DEFAULT_BASE, EPOCH, ImagePlan, make_plan

__all__ = [
    "DEFAULT_BASE",
    "EPOCH",
    "BuildRequest",
    "BuiltImage",
    "ContainerEngine",
    "Context",
    "Docker",
    "EngineInfo",
    "ImageInfo",
    "ImagePlan",
    "build",
    "dockerfile",
    "make_plan",
    "write_context",
]
