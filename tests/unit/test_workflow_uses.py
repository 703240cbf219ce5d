"""What a graph uses, read by the definitions of every era."""

from __future__ import annotations

from comfy_capsule.packager.workflow import definition_of, file_choices, input_files, used_classes
from graphs import INFO, twice


def test_classes_and_choices() -> None:
    _, api = twice()
    assert used_classes(api) == {"EmptyImage", "Sampler", "Blur", "SaveImage"}
    found = {(c.node, c.input): c for c in file_choices(api, INFO)}
    assert sorted(found) == [
        ("10:3", "model_name"), ("10:3", "sampler_name"), ("11:3", "model_name"), ("11:3", "sampler_name")
    ]  # fmt: skip
    model = found["10:3", "model_name"]
    assert (model.value, model.options) == ("two.safetensors", ("sd/one.safetensors", "two.safetensors"))
    assert found["10:3", "sampler_name"].options == ("euler", "ddim", "uni_pc")  # the older form


def test_each_of_several_choices_is_one() -> None:
    api = {"1": {"class_type": "Resize", "inputs": {"tags": {"__value__": ["a", "c"]}}}}
    assert [choice.value for choice in file_choices(api, INFO)] == ["a", "c"]


def test_files_of_the_input_folder() -> None:
    def load(value: object, class_type: str = "LoadImage", name: str = "image") -> dict[str, object]:
        return {"class_type": class_type, "inputs": {name: value}}

    api = {
        "1": load("cat.png"),
        "2": load("sub\\dog.png [input]"),
        "3": load("made.png [output]"),
        "4": load("clipspace/x.png[temp]"),
        "5": load(["1", 0]),
        "6": load("bell.wav", "LoadAudio", "audio"),
        "7": load("old.latent", "LoadLatent", "latent"),
        "8": load("seen.png [input]", "Unknown", "picture"),
        "9": load("", "LoadAudio", "audio"),
    }
    assert input_files(api, {**INFO, "LoadLatent": {"input": {"required": {"latent": [["old.latent"]]}}}}) == [
        "bell.wav", "cat.png", "old.latent", "seen.png", "sub/dog.png"
    ]  # fmt: skip


def test_children_of_dynamic_inputs() -> None:
    by_size = {"mode": "by size", "mode.width": 5}
    width = definition_of("Resize", "mode.width", by_size, INFO)
    assert width is not None
    assert width.settings["max"] == 4096
    assert definition_of("Resize", "mode.factor", by_size, INFO) is None
    assert definition_of("Resize", "mode.factor", {"mode": "by factor"}, INFO) is not None
    grown = definition_of("Resize", "parts.part3", {}, INFO)
    assert grown is not None
    assert grown.kind == "INT"
    assert definition_of("Resize", "parts.part9", {}, INFO) is None
    assert definition_of("Resize", "nothing", {}, INFO) is None
