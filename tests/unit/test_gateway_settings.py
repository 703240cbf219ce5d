"""Where a gateway's settings come from: arguments, environment, a TOML file, defaults; and that they can be printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import read_settings, settings_text

SECRET = "whsec_" + "QUJD" * 8


def write(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_arguments_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, 'comfy = "http://file"\nport = 1\nwait = 2.5\nhosts = ["a", "b"]\nfetch_ports = [443]\n')
    settings = read_settings({"COMFY_CAPSULE_PORT": "2", "COMFY_CAPSULE_WAIT": "7"}, config=config, port=3)
    assert (settings.comfy, settings.port, settings.wait) == ("http://file", 3, 7)
    assert (settings.hosts, settings.fetch_ports) == (("a", "b"), (443,))
    assert read_settings({"COMFY_CAPSULE_CONFIG": str(config)}).port == 1


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("comfy = ", "bad-config", "cannot be read"),
        ('keys = ["ann secret"]', "bad-config", "COMFY_CAPSULE_API_KEY_FILE"),
        ('webhook_secrets = ["x"]', "bad-config", "COMFY_CAPSULE_WEBHOOK_SECRET_FILE"),
        ('comfy = "http://x"\nprot = 1', "bad-setting", "'prot'"),
        ('comfy = "http://x"\nport = "many"', "bad-setting", "'port'"),
        ("port = 1", "bad-setting", "Give --comfy."),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, code: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_settings({}, config=write(tmp_path, text))
    assert refused.value.code == code
    assert words in str(refused.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        read_settings({}, config=tmp_path / "none.toml")
    assert refused.value.code == "bad-config"


def test_printed_settings_are_a_file_that_gives_the_same_and_hold_no_secret(tmp_path: Path) -> None:
    environment = {"COMFY_CAPSULE_API_KEYS": "ann secret-a", "COMFY_CAPSULE_WEBHOOK_SECRETS": SECRET}
    settings = read_settings(environment, comfy="http://x", fetch_allow=["10.0.0.0/8"], state=tmp_path, keep=5)
    text = settings_text(settings)
    assert "secret-a" not in text
    assert settings.keys[0].sha256 not in text
    assert SECRET not in text
    assert "# keys: 1," in text
    assert read_settings(environment, config=write(tmp_path, text)) == settings
