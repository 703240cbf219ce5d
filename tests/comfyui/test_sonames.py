"""The table of libraries and packages says what Debian's own index says."""

from __future__ import annotations

from bench.sonames import derived
from comfy_capsule.packager.snapshot.system.sonames import tables


def test_every_library_and_program_is_in_the_package_that_the_index_says() -> None:
    said = tables()
    debian, trixie = derived(said.debian, said.debian)
    assert len(debian) > 500
    assert said.debian == debian
    assert said.trixie == trixie


def test_a_wrong_table_is_noticed() -> None:
    wrong = {"libGL.so.1": "libegl1", "libglib-2.0.so.0": "libglib2.0-0", "libnothing.so.7": "libnothing7"}
    debian, trixie = derived(wrong, wrong)
    assert debian == {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0", "libnothing.so.7": ""}
    assert trixie == {"libglib-2.0.so.0": "libglib2.0-0t64"}
