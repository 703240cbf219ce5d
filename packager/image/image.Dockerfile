# The image of the capsule @NAME@, id @ID@. README.md beside this file says how to build and run it.
# Each stage is one thing that changes alone; what changes most often comes last.
ARG BASE=@BASE@

# The operating system: whatever the base lacks of the libraries that Python and the wheels load.
# checkov:skip=CKV_DOCKER_7: BASE has a tag or a digest
FROM ${BASE} AS os
ARG SOURCE_DATE_EPOCH
# Every RUN ends with this: what it has written is dated @EPOCH@. So the same things make the same layers, and no export
# has to unpack and rewrite them. What is copied has its date already: out of a folder that is named by its digest, and
# onto / with the folders above it, because BuildKit dates by the clock the folders that it makes, and those that it has
# of an earlier context and in which something has changed.
SHELL @SHELL@
RUN --mount=type=bind,source=os,target=/build/os sh /build/os/install.sh /build/os/packages.txt

# Python, of exactly the captured version.
FROM os AS runtime
ARG SOURCE_DATE_EPOCH
@PYTHON_STAGE@
# The folders that are written to, by whichever uid the container is given: its own, and that of models which are not in
# the image.
RUN mkdir /state /models && chmod 1777 /state /models

# uv, which installs; it stays out of the image.
FROM runtime AS uv
RUN --mount=type=bind,source=build,target=/build/uv --mount=type=secret,id=ca,target=/run/secrets/ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi && \
    @PYTHON@ -m venv /opt/uv && \
    /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --require-hashes \
        -r /build/uv/uv-requirements.txt

# The source trees, with their byte code: the container's root file system may be read-only.
FROM runtime AS comfyui
ARG SOURCE_DATE_EPOCH
COPY @AT_SOURCES_COMFYUI@ /comfyui/
RUN @COMPILE@ /comfyui || true

# Each pack in a folder of its own, below which it lies as in the image.
FROM runtime AS packs
ARG SOURCE_DATE_EPOCH
COPY @AT_SOURCES_PACKS@ /packs/
RUN for pack in /packs/* /packs/.disabled/*; do \
        if [ -e "$pack" ]; then @COMPILE@ -s "$pack" -p / "$pack" || true; fi; \
    done

# The gateway, in an environment of its own.
FROM runtime AS gateway
ARG SOURCE_DATE_EPOCH
@UV_SETTINGS@
RUN --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/build/uv \
    --mount=type=bind,source=build,target=/build/lock \
    --mount=type=secret,id=ca,target=/run/secrets/ca \
    --mount=type=cache,id=comfy-capsule-uv,target=/build/cache \
    /build/uv venv --quiet --python @PYTHON@ /gateway && \
    /build/uv pip sync --quiet --require-hashes --python /gateway/bin/python /build/lock/gateway-requirements.txt
RUN --mount=type=bind,source=gateway,target=/build/gateway \
    cp -R /build/gateway/. @GATEWAY_SITE@/ && \
    @COMPILE@ @GATEWAY_SITE@/comfy_capsule

# ComfyUI's environment: exactly the captured distributions, nothing else; a wheel with another hash is refused.
# The index is a name only, under which uv keeps the wheels in its cache; they come from where the lock says.
FROM runtime AS environment
ARG SOURCE_DATE_EPOCH
ARG NETRC=/run/secrets/netrc
@UV_SETTINGS@
RUN --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/build/uv \
    --mount=type=bind,source=lock,target=/build/lock \
    --mount=type=secret,id=ca,target=/run/secrets/ca \
    --mount=type=secret,id=netrc,target=/run/secrets/netrc \
    --mount=type=cache,id=comfy-capsule-uv,target=/build/cache \
    /build/uv venv --quiet --python @PYTHON@ /opt/venv && \
    /build/uv pip sync --quiet --no-build --python /opt/venv/bin/python --preview-features pylock \
        --index @OWN_INDEX@ /build/lock/pylock.toml@UNPROVED@@WHEELS@@OVERLAY@
COPY --link --from=comfyui /comfyui/ /comfyui/
@PACKS@@FILES@COPY --link --from=gateway /gateway/ /gateway/
COPY --link @AT_LAUNCHER@ /
ENV HOME=/state \
    LANG=C.UTF-8 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/state \
    USER=capsule \
    XDG_CACHE_HOME=/state/cache
USER 1000:0

# What it is made of, in CycloneDX.
FROM environment AS sbom
RUN --network=none --mount=type=bind,source=parts/environment,target=/build/parts/environment \
    --mount=type=bind,source=parts/models,target=/build/parts/models \
    /gateway/bin/python -m comfy_capsule.packager.sbom /build/parts --comfy /comfyui \
        --site @SITE@ --site @GATEWAY_SITE@ --out /state/sbom.cdx.json
@PROOF_OF_ENVIRONMENT@
# The models, each a layer, and links to those that are not in the image.
FROM environment AS served
ARG SOURCE_DATE_EPOCH
@MODELS@@LINKS@@PROOF_OF_SERVED@
# What it serves, last.
FROM served
ARG SOURCE_DATE_EPOCH
COPY --link --chown=0:0 --from=sbom /state/sbom.cdx.json /sbom.cdx.json
@PROOF@COPY --link @AT_CAPSULE@ /capsule/
@PREPARE@@LABELS@
VOLUME @VOLUMES@
EXPOSE 8000
SHELL ["/bin/sh", "-c"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=600s --retries=3 \
    CMD [@PROBE@]
ENTRYPOINT @ENTRYPOINT@
