"""The Dockerfile's text: the template beside this file, filled in from a plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files

from ..materialise import LOCAL_WHEELS, OWN_INDEX
from .layout import GATEWAY, INSTALL, LABEL, MODELS, PORT, PROBE, PROVE, TITLE_LABEL, VENV
from .plan import EPOCH, ImagePlan

_MARK = re.compile(r"@([A-Z_]+)@")

_CARRIED = """\
COPY --link @AT_PYTHON@ /
RUN echo /opt/python/lib > /etc/ld.so.conf.d/00-capsule-python.conf && \\
    ldconfig && rm -f /var/cache/ldconfig/aux-cache && \\
    test "$(@PYTHON@ -c 'import bz2, ctypes, lzma, platform, sqlite3, ssl, zlib; print(platform.python_version())')" \\
        = "@VERSION@" && \\
    @COMPILE@ -x '/(tests?|lib2to3)/' /opt/python/lib/python@SHORT@"""

_OF_THE_BASE = """\
RUN test "$(@PYTHON@ -c 'import platform; print(platform.python_version())')" = "@VERSION@\""""

# Byte code that is checked against nothing: the trees do not change, and their times mean nothing in an image.
_COMPILE = "{python} -m compileall -q -j 0 --invalidation-mode unchecked-hash"

# Runs what stands in a RUN, then dates what it has written. Older is what the base brings, and what was dated before;
# the mounts' folders are made before it, by minutes where the machine is busy. Not writable is what BuildKit mounts
# over /etc/hosts; whoever is not root may date only what is his.
_SHELL = """\
began=$(($(date +%s) - 600)); mine="-uid $(id -u)"; test "$mine" != "-uid 0" || mine=-true; sh -ec "$1"; \
find / -xdev -type d ! -readable -prune -o -newermt "@$began" $mine '(' -type l -o -writable ')' \
-exec touch -h -d @{epoch} {{}} +"""

# Each step has only what it compares with, so a changed workflow has only its own steps run again.
_PROOF_OF_ENVIRONMENT = """
# The proof, without a network and as it will run: the environment is what was captured.
FROM environment AS proof-environment
RUN --network=none --mount=type=bind,source=parts/environment,target=/build/part \\
    @PROVE@ environment /build/part @INSTALL@ --out /state/environment.json
"""

_PROOF_OF_SERVED = """
# The proof goes on: so are the models, and ComfyUI takes the graph.
FROM served AS proof
RUN --network=none --mount=type=bind,source=parts/models,target=/build/part \\
    @PROVE@ models /build/part @INSTALL@ --out /state/models.json
RUN --network=none --mount=type=bind,source=parts/graph,target=/build/part \\
    @PROVE@ graph /build/part @INSTALL@ --out /state/graph.json
RUN --network=none --mount=type=bind,source=parts/capsule,target=/build/part \\
    --mount=type=bind,from=proof-environment,source=/state,target=/build/environment \\
    @PROVE@ join /build/part /build/environment/environment.json /state/models.json /state/graph.json \\
        --out /state/proof.json
"""

_UNPROVED = """ && \\
    /build/uv pip install --quiet --no-build --no-deps --python /opt/venv/bin/python -r /build/lock/unproved.txt"""

# uv notes the time of a wheel that it takes from disk.
_WHEELS = """ && \\
    /build/uv pip install --quiet @LOCAL@ --find-links /build/lock/wheels \\
        --python /opt/venv/bin/python -r /build/lock/carried.txt && \\
    find /opt/venv -path '*.dist-info/uv_cache.json' -execdir sed -i '/\\/uv_cache\\.json,/d' RECORD ';' -delete"""

# The byte code of what is replaced is checked against nothing, so it is made anew.
_OVERLAY = """ && \\
    cp -RP --remove-destination /build/lock/overlay/. /opt/venv/ && \\
    xargs -r -d '\\n' rm -f -- < /build/lock/removed.txt && \\
    { @COMPILE@ -f -i /build/lock/compile.txt || true; }"""

# For single steps: an ARG, unlike an ENV, is not in the image's environment. The CA bundle is a secret; without it
# uv says that the file is missing, and takes its own.
_UV_SETTINGS = """\
ARG SSL_CERT_FILE=/run/secrets/ca
ARG PYC_INVALIDATION_MODE=UNCHECKED_HASH
ARG UV_CACHE_DIR=/build/cache
ARG UV_COMPILE_BYTECODE=1
ARG UV_LINK_MODE=copy
ARG UV_NO_CONFIG=1"""


def dockerfile(plan: ImagePlan, named: Mapping[str, str]) -> str:
    """The whole Dockerfile of `plan`.

    Args:
        named: where in the context the folders are that it copies, see `name_by_content`.
    """
    words = _words(plan) | {f"AT_{name.upper().replace('/', '_')}": f"{place}/" for name, place in named.items()}
    stage = _fill(_CARRIED if plan.python == "carried" else _OF_THE_BASE, words)
    packs = [_copy(f"/packs/{name}/", "--from=packs") for name in plan.packs]
    models = [_copy(f"models/{digest}/") for digest in sorted({item.sha256 for item in plan.models})]
    parts = {
        "PYTHON_STAGE": stage,
        "PACKS": "".join(packs),
        "MODELS": "".join(models),
        "FILES": _copy(words["AT_FILES"]) if plan.files else "",
        "LINKS": _copy(words["AT_LINKS"]) if plan.linked else "",
        "PREPARE": _prepare(plan),
        "UNPROVED": _UNPROVED if plan.unproved else "",
        "WHEELS": _fill(_WHEELS, {"LOCAL": " ".join(LOCAL_WHEELS)}) if plan.carried else "",
        "OVERLAY": _fill(_OVERLAY, _words(plan)) if plan.overlay else "",
        "PROOF_OF_ENVIRONMENT": _fill(_PROOF_OF_ENVIRONMENT, _words(plan)) if plan.prove else "",
        "PROOF_OF_SERVED": _fill(_PROOF_OF_SERVED, _words(plan)) if plan.prove else "",
        "PROOF": "COPY --link --chown=0:0 --from=proof /state/proof.json /proof.json\n" if plan.prove else "",
        "LABELS": _labels(plan),
        "ENTRYPOINT": json.dumps(_entrypoint(plan)),
    }
    return _fill(_template("image.Dockerfile"), {**words, **parts})


def readme(plan: ImagePlan) -> str:
    """The README of the context: how it is built and run without our tool."""
    return _fill(_template("context.md"), _words(plan))


def compose(plan: ImagePlan) -> dict[str, str]:
    """``{file name: text}`` of what runs the image with ``docker compose``."""
    names = ("compose.yaml", "compose.gpu.yaml")
    return {name: _fill(_template(name), _words(plan)) for name in names}


def _template(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _words(plan: ImagePlan) -> dict[str, str]:
    return {
        "NAME": plan.name,
        # The project's name takes no dots, https://docs.docker.com/reference/compose-file/version-and-name/
        "PROJECT": plan.name.replace(".", "-"),
        "ID": plan.digests["capsule"][:12],
        "BASE": plan.base,
        "EPOCH": str(EPOCH),
        "SHELL": json.dumps(["/bin/sh", "-ec", _SHELL.format(epoch=EPOCH), "run"]),
        "PYTHON": plan.interpreter,
        "VERSION": plan.python_version,
        "SHORT": plan.short_python,
        "UV_SETTINGS": _UV_SETTINGS,
        "OWN_INDEX": OWN_INDEX,
        "COMPILE": _COMPILE.format(python=plan.interpreter),
        "VOLUMES": '["/state", "/models"]' if plan.linked else '["/state"]',
        "MODELS_VOLUME": "\n      - models:/models" if plan.linked else "",
        "MODELS_NAME": "\n  models: # several images may share it" if plan.linked else "",
        "PROBE": ", ".join(map(json.dumps, PROBE)),
        "SITE": f"{VENV}/{plan.site_packages}",
        "PROVE": " ".join(PROVE),
        "INSTALL": " ".join(INSTALL),
        "GATEWAY_SITE": f"{GATEWAY}/{plan.site_packages}",
    }


def _fill(text: str, words: Mapping[str, str]) -> str:
    return _MARK.sub(lambda found: words[found[1]], text)


def _copy(folder: str, *options: str) -> str:
    """One COPY in JSON form: names may hold spaces, ``$`` (a variable to Docker) and ``[`` (a pattern)."""
    words = [folder.replace("[", "[[]").replace("$", r"\$"), "/"]
    return f"COPY --link {''.join(option + ' ' for option in options)}{json.dumps(words)}\n"


def _prepare(plan: ImagePlan) -> str:
    """What the gateway runs before ComfyUI: it fetches the models that are to be fetched, where they are missing."""
    if not any(model.policy == "fetch" for model in plan.linked):
        return ""
    wanted = sorted({model.sha256 for model in plan.linked if model.policy == "fetch"})
    words = ["comfy-capsule", "models", "pull", f"/capsule/{plan.name}.capsule.zip", "--to", MODELS]
    words += [word for digest in wanted for word in ("--only", digest)]
    return f"ENV COMFY_CAPSULE_PREPARE={_quoted(' '.join(words))}\n"


def _labels(plan: ImagePlan) -> str:
    """OCI annotation keys where there is one (https://specs.opencontainers.org/image-spec/annotations/)."""
    labels = {
        f"{LABEL}capsule": plan.digests["capsule"],
        f"{LABEL}contract": plan.digests["contract"],
        f"{LABEL}environment": plan.digests["environment"],
        f"{LABEL}id": plan.digests["capsule"][:12],
        "org.opencontainers.image.base.name": plan.base,
        TITLE_LABEL: plan.name,
    }
    if plan.linked:
        labels[f"{LABEL}models"] = "+".join(sorted({model.policy for model in plan.linked}))
    if plan.oldest_driver:
        labels[f"{LABEL}minimum-driver"] = plan.oldest_driver
    return "LABEL " + " \\\n    ".join(f"{name}={_quoted(value)}" for name, value in labels.items())


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", r"\$")


def _entrypoint(plan: ImagePlan) -> list[str]:
    return [
        *("comfy-capsule", "serve", f"/capsule/{plan.name}.capsule.zip"),
        *INSTALL,
        *("--host", "0.0.0.0", "--port", str(PORT), "--state", "/state"),
    ]
