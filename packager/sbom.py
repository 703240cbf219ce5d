"""The software bill of materials of an image, in CycloneDX: OS packages, Python, wheels, ComfyUI, packs and models.

Runs inside an image while it is built: ``python -m comfy_capsule.packager.sbom PARTS --comfy DIR --out FILE``. The
format: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from .capsule import Lock, Model, Pack, Source, environment_digest
from .materialise import pack_place, read_pylock

_DPKG = Path("/var/lib/dpkg/status")
_OWN = "comfy-capsule:"  # of our properties; names: https://cyclonedx.github.io/cyclonedx-property-taxonomy/
_CLASSIFIER = "License :: OSI Approved :: "
# How the texts of the common licences begin; what is in no list is no licence that we could name.
_HEADINGS = (
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "AGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "LGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0-only"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"Mozilla Public License,? [Vv]ersion 2\.0", "MPL-2.0"),
    (r"Permission is hereby granted, free of charge", "MIT"),
    (r"Neither the name of .* nor the names of (its|his|any)", "BSD-3-Clause"),
    (r"Redistribution and use in source and binary forms", "BSD-2-Clause"),
)
_licenses = LicenseFactory()


def make_sbom(lock: Lock, pylock: str, models: Sequence[Model], *, comfy: Path, venvs: Sequence[Path]) -> str:
    """The bill as JSON, the same for the same things; its time is the beginning of 1980, as all times in an image.

    Args:
        lock: its ComfyUI, packs and platform.
        pylock: the text of ``pylock.toml``, for the wheels' hashes.
        venvs: site-packages folders; the distributions of the first are held to the lock.
    """
    environment = environment_digest(lock, pylock)
    identity = json.dumps([environment, sorted(model.sha256 for model in models)])
    image = Component(name="image", type=ComponentType.CONTAINER, version=environment[:12], bom_ref="image")
    parts = [
        *_debian(_DPKG, lock.platform.arch),
        *_sources(lock, comfy),
        *(each for place, venv in enumerate(venvs) for each in _distributions(venv, pylock if not place else "")),
        *map(_model, {model.sha256: model for model in models}.values()),
    ]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, identity),
        components=parts,
        metadata=BomMetaData(component=image, timestamp=datetime(1980, 1, 1, tzinfo=UTC)),
    )
    bom.register_dependency(image, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(name: str, kind: str, version: str = "", /, *, group: str, **more: object) -> Component:
    """A component with a reference of its own: the same name and version may be there twice, for two owners."""
    reference = f"{group}/{name}@{version}"
    return Component(name=name, type=ComponentType(kind), version=version or None, bom_ref=reference, **more)  # type: ignore[arg-type]


def _sources(lock: Lock, comfy: Path) -> Iterator[Component]:
    said = lock.platform
    yield _component(said.implementation, "application", said.python, group="python")
    yield _source("ComfyUI", "application", lock.comfyui.version, lock.comfyui, comfy)
    for pack in lock.packs:
        where = comfy / "custom_nodes" / pack_place(pack)
        yield _source(pack.name, "library", _version(pack), pack, where)


def _version(pack: Pack) -> str:
    return pack.registry.partition("@")[2] or pack.commit


def _source(name: str, kind: str, version: str, source: Source, where: Path) -> Component:
    properties = [Property(name=f"{_OWN}tree", value=source.tree), Property(name=f"{_OWN}kind", value=source.kind)]
    if source.patch or source.carried:
        properties.append(Property(name=f"{_OWN}carried", value="true"))
    references = []
    if source.origin.startswith(("https://", "http://")):
        references.append(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(source.origin)))
    return _component(
        name,
        kind,
        version,
        group="comfyui",
        purl=PackageURL("generic", None, name, source.commit or version or None),
        licenses=_of_folder(where),
        external_references=references,
        properties=properties,
    )


def _distributions(site: Path, pylock: str) -> Iterator[Component]:
    hashes = {}
    for package in read_pylock(pylock).pylock.packages if pylock else ():
        for wheel in package.wheels or ():
            hashes[str(package.name)] = wheel.hashes.get("sha256", "")
    for found in sorted(metadata.distributions(path=[str(site)]), key=lambda item: str(item.metadata["Name"])):
        if not found.metadata["Name"]:
            continue  # what is left of one that was half uninstalled
        name = canonicalize_name(found.metadata["Name"])
        digest = hashes.get(name, "")
        yield _component(
            name,
            "library",
            found.version,
            group="gateway" if not pylock else "python",
            purl=PackageURL("pypi", None, name, found.version),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
            licenses=_of_metadata(found.metadata),
        )


def _of_metadata(said: metadata.PackageMetadata) -> list[License]:
    """By the core metadata: the expression, else the classifiers, else the free text where it is short."""
    if expressions := said.get_all("License-Expression"):
        return [_licenses.make_from_string(expressions[0])]
    names = [
        text.removeprefix(_CLASSIFIER) for text in said.get_all("Classifier") or () if text.startswith(_CLASSIFIER)
    ]
    if not names:
        texts = (text.strip() for text in said.get_all("License") or ())
        names = [text for text in texts if text and len(text) < 100 and "\n" not in text]
    return [_licenses.make_with_name(name) for name in sorted(set(names))]


def _of_folder(where: Path) -> list[License]:
    """By ``pyproject.toml``, else by how the text of its licence begins."""
    if not where.is_dir():
        return []
    try:
        said = tomllib.loads((where / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"]
    except (OSError, ValueError, KeyError, TypeError):
        said = None
    if isinstance(said, str) and said.strip():
        return [_licenses.make_from_string(said.strip())]
    for file in sorted(where.glob("[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*")):
        text = file.read_text(encoding="utf-8", errors="replace")[:20_000] if file.is_file() else ""
        for heading, name in _HEADINGS:
            if re.search(heading, text):
                return [_licenses.make_from_string(name)]
    return []


def _model(model: Model) -> Component:
    urls = sorted({source.url for source in model.sources})
    return _component(
        f"{model.folder}/{model.name}",
        "machine-learning-model",
        group=f"model/{model.sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=model.sha256)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url)) for url in urls
        ],
        properties=[Property(name=f"{_OWN}bytes", value=str(model.size))],
    )


def _debian(status: Path, arch: str) -> Iterator[Component]:
    """The packages that dpkg lists, deb-control(5); none on another system."""
    if not status.is_file():
        return
    for paragraph in status.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            where = {"arch": fields.get("Architecture", arch)}
            yield _component(
                name, "library", version, group="debian", purl=PackageURL("deb", "debian", name, version, where)
            )


def main(words: Sequence[str] | None = None) -> int:
    """Write the bill of the image that this runs in."""
    parser = argparse.ArgumentParser(prog="python -m comfy_capsule.packager.sbom", description=__doc__)
    parser.add_argument("parts", type=Path, help="what `write_parts` wrote")
    parser.add_argument("--comfy", type=Path, required=True)
    parser.add_argument("--site", type=Path, action="append", required=True, help="site-packages: ComfyUI's first")
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(words)
    lock = Lock.model_validate(tomllib.loads((said.parts / "environment/capsule.toml").read_text(encoding="utf-8")))
    pylock = (said.parts / "environment/pylock.toml").read_text(encoding="utf-8")
    models = json.loads((said.parts / "models/models.json").read_text(encoding="utf-8"))
    said.out.write_text(
        make_sbom(lock, pylock, list(map(Model.model_validate, models)), comfy=said.comfy, venvs=said.site),
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
