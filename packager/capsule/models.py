"""What a capsule says: the lock (`capsule.toml`), and the capsule that joins it with graph and contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

#: The version of the file format. A newer major version is refused, see `read`.
FORMAT = "1.0"


class Frozen(BaseModel):
    """The base of every model of the lock: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Platform(Frozen):
    """What the environment runs on, as far as it must be equal elsewhere."""

    os: str  # ``linux``, ``windows``, ``darwin``
    arch: str  # ``x86_64``, ``aarch64``
    python: str  # the full version, e.g. ``3.11.7``
    implementation: str = "cpython"
    torch: str = ""  # with its build tag, e.g. ``2.11.0+cu130``
    frontend: str = ""  # version of comfyui-frontend-package
    templates: str = ""  # version of comfyui-workflow-templates


class Checkout(Frozen):
    """A git checkout: where its commit can be had again, and what lies over it.

    Attributes:
        origin: the remote's URL, without credentials; empty when there is none.
        line_ends: what git was told to make of line ends: ``""``, leave them; ``crlf``, ``core.autocrlf=true``;
            ``attributes``, ``core.eol=crlf``, which holds for files that ``.gitattributes`` calls text.
        patch: the entry with local changes and untracked files, for ``git apply --binary``.
        bundle: the entry with a git bundle of `commit`, when no remote that others reach is known to have it.
    """

    origin: str = ""
    commit: str = ""
    line_ends: Literal["", "crlf", "attributes"] = ""
    patch: str = ""
    bundle: str = ""


class Submodule(Checkout):
    """A checkout inside a checkout: a submodule at the commit that was really there, or a repository cloned into it."""

    path: str  # relative to the tree it is in, with ``/``


class Source(Checkout):
    """A source tree: where its bytes can be had again, and the digest that proves them.

    Attributes:
        kind: a git checkout; an archive of the Comfy registry; a folder or a single file without either.
        tree: digest of the files, see `digests.tree_digest`; of a single file its sha256.
        submodules: outer ones first.
        carried: the entry with the files (a tar, or the single file), when they have no origin.
    """

    kind: Literal["git", "registry", "folder", "file"]
    tree: str = ""
    submodules: tuple[Submodule, ...] = ()
    carried: str = ""


class ComfyUI(Source):
    """ComfyUI itself."""

    version: str


class Pack(Source):
    """One custom-node pack.

    Attributes:
        name: of its folder or file, without what disables it.
        path: where it lies under its custom_nodes root: `name`, ``NAME.disabled`` or ``.disabled/NAME``.
        registry: ``ID@VERSION`` of a pack from the Comfy registry.
        classes: the node classes it gives, as ComfyUI's module record says.
        requirements: its requirement files, e.g. ``requirements.txt``; install_script: e.g. ``install.py``.
        used: whether the graph uses one of its classes; not part of the environment digest.
    """

    name: str
    path: str = ""
    enabled: bool = True
    registry: str = ""
    classes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    install_script: str = ""
    used: bool = False

    @model_validator(mode="before")
    @classmethod
    def _placed(cls, said: Any) -> Any:
        """Without a `path` it lies where its name and state say."""
        if not isinstance(said, dict) or said.get("path") or not isinstance(said.get("name"), str):
            return said
        return {**said, "path": said["name"] + ("" if said.get("enabled", True) else ".disabled")}


#: ``os``: the system gives it; ``driver``: it comes with the host's graphics driver; ``optional``: only files need it
#: that nothing in the environment links to or names, such as plug-ins for other hardware.
Kind = Literal["os", "driver", "optional"]


class Library(Frozen):
    """One shared library that the environment does not bring itself."""

    soname: str  # as the files ask for it, e.g. ``libGL.so.1``
    package: str = ""  # in Debian 12; empty when it is not known
    kind: Kind = "os"
    by: str = ""  # the first, by name, of the packages and packs that need it


class Program(Frozen):
    """One program that ComfyUI, a pack or a distribution starts by its name."""

    name: str
    package: str = ""
    kind: Kind = "os"
    by: tuple[str, ...] = ()


class System(Frozen):
    """What the environment needs of the operating system: read from its files, the same on every machine."""

    packages: tuple[str, ...] = ()  # of Debian 12: those that hold what is of kind ``os``, sorted
    libraries: tuple[Library, ...] = ()
    programs: tuple[Program, ...] = ()


class ModelOrigin(Frozen):
    """One address from which a model may be had again."""

    url: str  # without credentials and tokens
    proved: bool = False  # whether what gives the file there, or who fetched it from there, names this very sha256
    how: str = ""  # where it was learnt: ``workflow``, ``side-file``, ``huggingface-cache``, ``templates``, a look-up


class Model(Frozen):
    """One model file that the graph uses. Content is identity; the path is only a placement."""

    folder: str  # below ComfyUI's models folder: the folder type's name, e.g. ``upscale_models``, or its own folder
    name: str  # as the node sees it, with ``/``
    size: int  # bytes
    sha256: str
    sources: tuple[ModelOrigin, ...] = ()  # the proved ones first


class InputFile(Frozen):
    """One file that the graph reads from ComfyUI's input folder; its bytes are the entry ``inputs/NAME``."""

    name: str
    size: int
    sha256: str


class UsedFile(Frozen):
    """One file that a traced run opened and that nothing else of the lock gives back.

    Attributes:
        place: ``comfyui``, ComfyUI's own folder, where git ignores it; ``cache``, the caches of the user's libraries.
        name: relative to that place, with ``/``, e.g. ``huggingface/hub/models--a--b/snapshots/…/model.safetensors``.
        carried: the entry with its bytes; empty for a large one, which is had again as models are.
    """

    place: Literal["comfyui", "cache"]
    name: str
    size: int
    sha256: str
    sources: tuple[ModelOrigin, ...] = ()
    carried: str = ""


class Finding(Frozen):
    """One thing that stands against exact reproduction."""

    code: str  # stable, kebab-case, documented in docs/findings.md
    subject: str  # what it is about: a pack, a distribution, a model
    message: str  # one sentence
    cure: str  # one sentence
    blocks: bool = False  # whether the capsule cannot give the same thing back


class Observed(Frozen):
    """What was merely seen; outside the environment digest."""

    frontend: str = ""  # the version of the front-end that exported the graph
    gpus: tuple[str, ...] = ()  # their names
    driver: str = ""  # the NVIDIA driver's version
    cuda: str = ""  # what torch was built for, e.g. ``13.0`` or ``hip 6.4``
    torch_arch_list: tuple[str, ...] = ()  # the GPU architectures in that build, e.g. ``sm_90``
    arguments: tuple[str, ...] = ()  # ComfyUI's launch arguments, secrets and home folders replaced
    environment: tuple[str, ...] = ()  # names of variables that matter to it; never their values
    model_paths: tuple[str, ...] = ()  # ``TYPE: PLACE`` of folders outside ComfyUI's own (``extra_model_paths``)


class Lock(Frozen):
    """`capsule.toml`: the snapshot written down."""

    format: str = FORMAT
    name: str
    message: str = ""
    parent: str = ""  # the id of the capsule this one follows
    platform: Platform
    comfyui: ComfyUI
    system: System = System()
    packs: tuple[Pack, ...] = ()
    models: tuple[Model, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    files: tuple[UsedFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    observed: Observed = Observed()


def carried_entries(lock: Lock) -> list[str]:
    """The entries with carried bytes that `lock` names, sorted."""
    names = [f"inputs/{item.name}" for item in lock.inputs] + [item.carried for item in lock.files]
    for source in (lock.comfyui, *lock.packs):
        names += [
            source.carried,
            *(name for item in (source, *source.submodules) for name in (item.patch, item.bundle)),
        ]
    return sorted(name for name in names if name)


class Digests(Frozen):
    """The three digests (sha256, hex) that name a capsule, and the short id."""

    environment: str
    contract: str
    capsule: str

    @property
    def id(self) -> str:
        """The short form of the capsule digest: its first 12 hex digits."""
        return self.capsule[:12]


ApiGraph = dict[str, dict[str, Any]]  # {node id: {"class_type": str, "inputs": {name: value | [node id, slot]}}}
