"""Capsule → container image: the build context, the Dockerfile, the engine that builds it."""

from .builder import BuiltImage, build
from .choose import engine_named
from .context import Context, write_context
from .docker import Docker
from .dockerfile import compose, dockerfile
from .interface import BuildRequest, ContainerEngine, ContainerInfo, EngineInfo, ImageInfo, StartRequest
from .layout import INSTALL, LABEL, PROVE, TITLE_LABEL
from .metrics import write_metrics
from .plan import EPOCH, ImagePlan, LinkedModel, ModelPolicy, make_plan
from .podman import Podman
from .publish import platform_tag, publish
from .sign import why_unsigned

__all__ = [
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
    "Podman",
    "StartRequest",
    "build",
    "compose",
    "dockerfile",
    "engine_named",
    "make_plan",
    "platform_tag",
    "publish",
    "why_unsigned",
    "write_context",
    "write_metrics",
]
