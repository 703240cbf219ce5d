"""From a capsule to bytes on disk: source trees, Python, models, inputs; used by restore and image alike."""

from .sources import Packs, Sources, chosen_packs, materialise_sources, pack_folder

__all__ = ["Packs", "Sources", "chosen_packs", "materialise_sources", "pack_folder"]
